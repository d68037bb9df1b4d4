//! Requests that servers understand in different ways: one meaning here, or an answer without the upstream.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use jetway_tests::{ALICE, APP, BOB, Proxy, Route, Scene, Upstream, Visitor, on_both_bodies};
use url::Url;

on_both_bodies!(
    policy_and_upstream_see_one_path,
    ordinary_paths_pass_unchanged,
    strange_requests_are_answered_here,
    two_framings_smuggle_nothing
);

/// Paths that some server might take for something below `/admin`.
const DISGUISES: [&str; 19] = [
    "/admin",
    "/admin/users",
    "//admin",
    "/./admin",
    "/x/../admin",
    "/x/%2e%2e/admin",
    "/x/..%2fadmin",
    "/%61dmin",
    "/%2561dmin/../admin",
    "/x\\..\\admin",
    "/x/..;/admin",
    "/admin%00",
    "/admin%2fusers",
    "/.//admin",
    "/..//admin",
    "/x/.%2e/admin?y=1",
    "/x/%5c../admin",
    "/admin#x",
    "/x/#/../admin",
];

async fn policy_and_upstream_see_one_path(scene: &mut Scene) -> Result<()> {
    let (admin, rest) = (
        Upstream::start("admin").await?,
        Upstream::start("rest").await?,
    );
    let routes = [
        Route::new(APP, &admin.address()).prefix("/admin").only(BOB),
        Route::new(APP, &rest.address()),
    ];
    let _proxy = scene.serve(&routes).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.visitor();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    rest.take();
    for path in DISGUISES {
        let answer = alice
            .dialer()
            .raw(&url, &request(&alice, &url, "GET", path, "")?)
            .await?
            .context("an answer")?;
        assert!(!answer.status.is_server_error(), "`{path}`: {answer:?}");
        assert!(
            admin.take().is_empty(),
            "`{path}` reached the other route's upstream"
        );
        for seen in rest.take() {
            let plain = plainest(&seen.target);
            assert!(
                !plain.starts_with("/admin"),
                "`{path}` reached the upstream as `{}`",
                seen.target
            );
        }
        alice.navigate(&url).await?.expect(200)?;
        rest.take();
    }
    Ok(())
}

/// What the most generous server makes of a path: decoded until nothing changes, backslashes and dots resolved,
/// parameters of segments dropped.
fn plainest(target: &str) -> String {
    let mut path = target
        .split('?')
        .next()
        .unwrap_or_default()
        .replace('\\', "/");
    loop {
        let next = ["%2e", "%2E"]
            .iter()
            .fold(path.clone(), |text, escape| text.replace(escape, "."));
        let next = ["%2f", "%2F", "%5c", "%5C"]
            .iter()
            .fold(next, |text, escape| text.replace(escape, "/"));
        let next = next.replace("%61", "a").replace("%25", "%");
        if next == path {
            break;
        }
        path = next;
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

async fn ordinary_paths_pass_unchanged(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    let targets = [
        "/",
        "/a/b/c",
        "/a/b/c/",
        "/with%20space/%C3%A4",
        "/a;b=c/d,e",
        "/file.tar.gz",
        "/~user/!$&'()*+,=:@",
        "/q?",
        "/q?a=b&c=%2F..%2F..%00%zz&d=//e/../f",
        "/cockpit/@localhost/shell/index.html?x#".trim_end_matches('#'),
    ];
    for target in targets {
        let answer = alice
            .dialer()
            .raw(&url, &request(&alice, &url, "GET", target, "")?)
            .await?
            .context("an answer")?;
        assert_eq!(answer.status, 200, "`{target}`: {answer:?}");
        let seen = upstream
            .take()
            .pop()
            .context("the upstream saw the request")?;
        assert_eq!(seen.target, target);
    }
    alice.navigate(&url).await?.expect(200)?;
    Ok(())
}

async fn strange_requests_are_answered_here(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    let host = authority(&url).to_owned();
    let cookie = alice.cookies(&url).context("alice has a session")?;
    let bare = |head: String| {
        format!("{head}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n").into_bytes()
    };
    let strange: Vec<(&str, Vec<u8>)> = vec![
        ("TRACE", request(&alice, &url, "TRACE", "/", "")?),
        (
            "CONNECT",
            bare(format!("CONNECT {host} HTTP/1.1\r\nHost: {host}")),
        ),
        ("no host", bare("GET / HTTP/1.1".to_owned())),
        (
            "two hosts",
            request(&alice, &url, "GET", "/", "Host: evil.example\r\n")?,
        ),
        (
            "a user in the host",
            bare(format!("GET / HTTP/1.1\r\nHost: user@{host}")),
        ),
        (
            "another host",
            bare("GET / HTTP/1.1\r\nHost: unknown.localhost".to_owned()),
        ),
        (
            "another host in the target",
            request(&alice, &url, "GET", "https://unknown.localhost/", "")?,
        ),
        (
            "a path without a slash",
            request(&alice, &url, "GET", "admin", "")?,
        ),
        (
            "a space in the path",
            request(&alice, &url, "GET", "/a b", "")?,
        ),
        ("half an escape", request(&alice, &url, "GET", "/a%2", "")?),
        (
            "an old version",
            bare(format!("GET / HTTP/1.0\r\nHost: {host}")),
        ),
        (
            "two lengths",
            request(
                &alice,
                &url,
                "POST",
                "/",
                "Content-Length: 1\r\nContent-Length: 2\r\n",
            )?,
        ),
        (
            "an unknown coding",
            request(&alice, &url, "POST", "/", "Transfer-Encoding: xchunked\r\n")?,
        ),
        (
            "a space before the colon",
            request(&alice, &url, "GET", "/", "X-Any : 1\r\n")?,
        ),
        (
            "a null byte",
            request(&alice, &url, "GET", "/", "X-Any: a\0b\r\n")?,
        ),
        (
            "70 KiB in one header",
            request(
                &alice,
                &url,
                "GET",
                "/",
                &format!("X-Any: {}\r\n", "a".repeat(70 << 10)),
            )?,
        ),
        (
            "150 headers",
            request(&alice, &url, "GET", "/", &"X-Any: 1\r\n".repeat(150))?,
        ),
        ("not HTTP", b"\x16\x03\x01 hello\r\n\r\n".to_vec()),
    ];
    for (what, bytes) in strange {
        // Closing the connection without a word is an answer, too.
        let answer = alice.dialer().raw(&url, &bytes).await;
        if let Some(answer) = answer.with_context(|| what.to_owned())? {
            let code = answer.status.as_u16();
            assert!(matches!(code, 400..=499 | 501 | 505), "{what}: {answer:?}");
        }
        assert!(upstream.take().is_empty(), "{what} reached the upstream");
        alice
            .navigate(&url)
            .await?
            .expect(200)
            .with_context(|| format!("after {what}"))?;
        upstream.take();
    }
    Ok(())
}

/// A length and chunks in one request are refused, or the chunks count alone (RFC 9112 section 6.3).
async fn two_framings_smuggle_nothing(scene: &mut Scene) -> Result<()> {
    let upstream = Upstream::start("app").await?;
    let (_proxy, mut alice, url) = signed_in(scene, &upstream).await?;
    let (host, cookie) = (
        authority(&url),
        alice.cookies(&url).context("alice has a session")?,
    );
    let smuggled = format!("GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let chunked = format!("0\r\n\r\n{smuggled}");
    let framings = [
        (
            format!(
                "Content-Length: {}\r\nTransfer-Encoding: chunked",
                chunked.len()
            ),
            &chunked,
        ),
        (
            format!(
                "Transfer-Encoding: chunked\r\nContent-Length: {}",
                chunked.len()
            ),
            &chunked,
        ),
        (
            "Content-Length: 0\r\nTransfer-Encoding: chunked".to_owned(),
            &chunked,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
            &chunked,
        ),
        (
            format!("Content-Length: 0\r\nContent-Length: {}", smuggled.len()),
            &smuggled,
        ),
    ];
    for (framing, body) in framings {
        let head =
            format!("POST / HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n");
        let bytes = format!("{head}{framing}\r\n\r\n{body}");
        let answer = alice.dialer().raw(&url, bytes.as_bytes()).await?;
        for seen in upstream.take() {
            assert_eq!(seen.target, "/", "{framing}");
            assert!(
                seen.body().is_none_or(Bytes::is_empty),
                "{framing}: {seen:?}"
            );
            let framed =
                seen.values("content-length").len() + seen.values("transfer-encoding").len();
            assert!(
                framed <= 1,
                "{framing}: two framings are passed on: {seen:?}"
            );
        }
        assert!(
            answer.is_none_or(|answer| !answer.status.is_server_error() || answer.status == 501),
            "{framing}"
        );
        alice.navigate(&url).await?.expect(200)?;
        upstream.take();
    }
    Ok(())
}

async fn signed_in(scene: &Scene, upstream: &Upstream) -> Result<(Proxy, Visitor, Url)> {
    let proxy = scene.serve(&[Route::new(APP, &upstream.address())]).await?;
    let url = scene.url(APP, "/")?;
    let mut alice = scene.visitor();
    alice.sign_in(&url, ALICE).await?.1.expect(200)?;
    upstream.take();
    Ok((proxy, alice, url))
}

/// A request of a signed-in visitor, byte by byte; `more` is further header lines.
fn request(
    visitor: &Visitor,
    url: &Url,
    method: &str,
    target: &str,
    more: &str,
) -> Result<Vec<u8>> {
    let (host, cookie) = (
        authority(url),
        visitor.cookies(url).context("the visitor has a session")?,
    );
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n{more}\r\n"
    );
    Ok(head.into_bytes())
}

fn authority(url: &Url) -> &str {
    &url[url::Position::BeforeHost..url::Position::AfterPort]
}
