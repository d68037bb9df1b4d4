//! Path and `Host` of the upstream's request.

use anyhow::{Context as _, Result};
use http::Method;
use jetway_tests::{APP, OTHER, Route, Scene, Upstream, on_both_proxies};

on_both_proxies!(
    one_path_for_routes_policies_and_upstreams,
    paths_are_rewritten,
    hosts_are_rewritten
);

/// N-08: in every spelling, a path takes its own route, and the upstream gets the path that was checked.
async fn one_path_for_routes_policies_and_upstreams(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let to = upstream.address();
    let closed = "- allow: {or: [reject: true]}";
    let routes = [
        Route::new(APP, &to)
            .key("path: '/v1/users:delete'")
            .policy(closed),
        Route::new(APP, &to).prefix("/a+b,@").policy(closed),
        Route::new(APP, &to).prefix("/judged").policy(
            "- allow: {or: [accept: true]}\n- deny: {or: [http_path: {is: '/judged/x=1'}]}",
        ),
        Route::new(APP, &to).public(),
    ];
    let _proxy = scene.serve(&routes).await?;
    let url = scene.url(APP, "/")?;
    let app = scene.authority(APP);
    for (target, status) in [
        ("/v1/users:delete", 403),
        ("/v1/users%3Adelete", 403),
        ("/v1/users%3adelete?x=%3a", 403),
        ("/v1/./%75sers%3Adelete", 403),
        ("//v1/users%3Adelete", 403),
        ("/a%2Bb%2c%40", 403),
        ("/a+b%2C@/x", 403),
        ("/judged/x%3D1", 403),
        ("/judged/x=1;y", 403),
        ("/v1/users:delete;x", 400),
        ("/v1/users%3Adelete%3Bx", 400),
        ("/v1/users%3Adelete%2f", 400),
        ("/b;v=1/c%3Bw", 400),
    ] {
        let answer = scene.dialer.get(&url, &app, target).await?;
        answer.expect(status).with_context(|| target.to_owned())?;
        assert!(upstream.take().is_empty(), "{target} reached the upstream");
    }
    for (target, seen) in [
        ("/v1/users%3Alist?x=%3A", "/v1/users:list?x=%3A"),
        ("/v1/users%253Adelete", "/v1/users%253Adelete"),
        ("/%5bid%5d|%c3%a9", "/%5Bid%5D%7C%C3%A9"),
        ("/b;v=1/c;w%3bx", "/b;v=1/c;w%3Bx"),
        ("/b/c%3bw", "/b/c%3Bw"),
        ("/judged/x", "/judged/x"),
        // A prefix is a prefix of the characters: both readings take the same route.
        ("/judged;x/y", "/judged;x/y"),
    ] {
        let answer = scene.dialer.get(&url, &app, target).await?;
        answer.expect(200).with_context(|| target.to_owned())?;
        assert_eq!(upstream.take_one()?.target, seen, "{target}");
    }
    Ok(())
}

/// N-09: no path begins with two slashes, after any rewrite.
async fn paths_are_rewritten(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let to = upstream.address();
    let route = |prefix: &str| Route::new(APP, &to).prefix(prefix).public();
    let routes = [
        route("/strip/").key("prefix_rewrite: /"),
        route("/loose").key("prefix_rewrite: /y/"),
        Route::new(APP, &to)
            .key("path: /one\nprefix_rewrite: /two")
            .public(),
        Route::new(APP, &format!("{to}/base"))
            .prefix("/to")
            .public(),
        route("/swap").key(
            "regex_rewrite_pattern: '^/swap/([a-z]+)/([0-9]+)$'\nregex_rewrite_substitution: '/\\2/\\1'",
        ),
        route("/rew").key("prefix_rewrite: /"),
        route("/gone").key("regex_rewrite_pattern: '^/gone'\nregex_rewrite_substitution: ''"),
        route("/every").key("regex_rewrite_pattern: 'o'\nregex_rewrite_substitution: '0'"),
        route("/open").key("regex_rewrite_pattern: '^/open(.*)$'\nregex_rewrite_substitution: '/f/\\1'"),
        Route::new(OTHER, &format!("{to}/anything")).public(),
    ];
    let _proxy = scene.serve(&routes).await?;
    let url = scene.url(APP, "/")?;
    let (app, other) = (scene.authority(APP), scene.authority(OTHER));
    for (host, target, seen) in [
        (&app, "/strip/a/b?c=/strip/&d", "/a/b?c=/strip/&d"),
        (&app, "/strip/", "/"),
        (&app, "/strip/a%20b/strip/", "/a%20b/strip/"),
        (&app, "/x/../strip/./a", "/a"),
        (&app, "/rew//evil.test/x", "/evil.test/x"),
        (&app, "/rew/evil.test/x?//y", "/evil.test/x?//y"),
        (&app, "/rew", "/"),
        (&app, "/gone//evil.test/x", "/evil.test/x"),
        (&app, "/one?two=three", "/two?two=three"),
        (&app, "/to/x?y", "/base/x?y"),
        (&app, "/to", "/base"),
        (&app, "/swap/abc/7?q=/swap/abc/7", "/7/abc?q=/swap/abc/7"),
        (&app, "/swap/abc", "/swap/abc"),
        (&app, "/every/foo?o", "/every/f00?o"),
        (&other, "/foo", "/anythingfoo"),
    ] {
        let answer = scene.dialer.get(&url, host, target).await?;
        answer.expect(200).with_context(|| target.to_owned())?;
        assert_eq!(upstream.take_one()?.target, seen, "{target}");
    }

    // A segment that is no dot segment before the rewriting must not become one.
    for target in [
        "/loose../secret",
        "/loose..",
        "/open../secret",
        "/open./x",
        "/loose/x",
    ] {
        let answer = scene.dialer.get(&url, &app, target).await?;
        assert!(!answer.status.is_server_error(), "{target}: {answer:?}");
        for seen in upstream.take() {
            let odd = seen
                .target
                .split(['/', '?'])
                .any(|segment| matches!(segment, "." | ".."));
            assert!(!odd, "`{target}` reached the upstream as `{}`", seen.target);
        }
    }
    Ok(())
}

async fn hosts_are_rewritten(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let route = |name: &str, keys: &str| {
        Route::new(APP, &upstream.address())
            .prefix(&format!("/{name}/"))
            .public()
            .key(keys)
    };
    let routes = [
        route("default", ""),
        route("preserve", "preserve_host_header: true"),
        route("literal", "host_rewrite: inner.example.com"),
        route("header", "host_rewrite_header: X-Target"),
        route(
            "regex",
            "host_path_regex_rewrite_pattern: '^/regex/([a-z]+)/.*$'\n\
             host_path_regex_rewrite_substitution: '\\1.inner.example.com'",
        ),
        // The first in the order of the documentation counts.
        route(
            "several",
            "host_rewrite: inner.example.com\nhost_rewrite_header: X-Target\npreserve_host_header: true",
        ),
    ];
    let _proxy = scene.serve(&routes).await?;
    let public = scene.authority(APP);
    let mut client = scene.user_agent();
    for (path, host) in [
        ("/default/x", upstream.authority().as_str()),
        ("/preserve/x", &public),
        ("/literal/x", "inner.example.com"),
        ("/header/x", "wanted.example.com"),
        ("/regex/blue/x", "blue.inner.example.com"),
        ("/several/x", "inner.example.com"),
    ] {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-target", "wanted.example.com".parse()?);
        headers.insert("x-forwarded-host", "forged.example.com".parse()?);
        client
            .send(
                Method::GET,
                &scene.url(APP, path)?,
                headers,
                bytes::Bytes::new(),
            )
            .await?
            .expect(200)
            .context(path)?;
        let seen = upstream.take_one()?;
        assert_eq!(seen.value("host")?, host, "{path}");
        assert_eq!(seen.target, path);
        // With the public host in `Host` no header is added.
        if path != "/preserve/x" {
            assert_eq!(seen.value("x-forwarded-host")?, public, "{path}");
        }
        for value in seen.values("x-forwarded-host") {
            assert_eq!(value, public.as_bytes(), "{path}");
        }
    }

    let bare = scene.url(APP, "/header/x")?;
    client.navigate(&bare).await?.expect(200)?;
    let seen = upstream.take_one()?;
    assert!(
        [public.as_str(), &upstream.authority()].contains(&seen.value("host")?),
        "without the header the host is not invented: {seen:?}"
    );
    Ok(())
}
