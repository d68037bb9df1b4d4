//! Rewriting of paths and hosts, and addresses of redirects.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::routes::public;
use super::world::{World, request};
use crate::gate::*;
use crate::testing::{Fixture, config};

/// Returns a world with one public route of `https://app.test`.
fn world(mut route: Value) -> World {
    route["from"] = json!("https://app.test");
    World::with(&public(&json!([route])))
}

/// Returns the path that the upstream sees, or the status of the refusal.
fn path(world: &mut World, sent: &str) -> Result<String, u16> {
    let headers = request("GET", "app.test", sent, &[]);
    match world.begin(&headers) {
        Step::Reply(reply) => Err(reply.status),
        _ => Ok(world.upstream(&headers).get(":path").unwrap()),
    }
}

#[test]
fn prefixes() {
    for (route, sent, seen) in [
        (
            json!({"prefix": "/a", "prefix_rewrite": "/b"}),
            "/a/x?q=/a",
            Ok("/b/x?q=/a"),
        ),
        (
            json!({"prefix": "/a", "prefix_rewrite": "/b"}),
            "/abc",
            Ok("/bbc"),
        ),
        (
            json!({"prefix": "/a/", "prefix_rewrite": "/"}),
            "/a/x?",
            Ok("/x?"),
        ),
        // N-09: two slashes would introduce a host.
        (
            json!({"prefix": "/a", "prefix_rewrite": "/"}),
            "/a/x",
            Ok("/x"),
        ),
        (
            json!({"prefix": "/a", "prefix_rewrite": "/"}),
            "/a//evil.test/x?q=//",
            Ok("/evil.test/x?q=//"),
        ),
        (
            json!({"path": "/a", "prefix_rewrite": "/b"}),
            "/a?q",
            Ok("/b?q"),
        ),
        (json!({"prefix_rewrite": "/b"}), "/x", Ok("/bx")),
        (json!({"prefix_rewrite": "/b/"}), "/", Ok("/b/")),
        (json!({"to": "http://up/b"}), "/x", Ok("/bx")),
        (
            json!({"to": "http://up/b", "prefix": "/a"}),
            "/a/../a/%78",
            Ok("/b/x"),
        ),
        (
            json!({"regex": "/a/.*", "prefix_rewrite": "/b"}),
            "/a/x?q",
            Ok("/b?q"),
        ),
        // A rewrite must not make a dot segment.
        (
            json!({"prefix": "/a", "prefix_rewrite": "/b/"}),
            "/a../secret",
            Err(400),
        ),
        (
            json!({"prefix": "/a", "prefix_rewrite": "/b/"}),
            "/a..;x/secret",
            Err(400),
        ),
    ] {
        let seen = seen.map(str::to_owned);
        assert_eq!(
            path(&mut world(route.clone()), sent),
            seen,
            "{route} {sent}"
        );
    }
}

#[test]
fn patterns() {
    let regex = |pattern: &str, substitution: &str| json!({"regex_rewrite_pattern": pattern, "regex_rewrite_substitution": substitution});
    for (route, sent, seen) in [
        (
            regex("^/a/([^/]+)/(.*)$", r"/\2/\1"),
            "/a/x/y?q=1",
            Ok("/y/x?q=1"),
        ),
        (regex("a", "b"), "/a/aa?a", Ok("/b/bb?a")),
        (regex("^/nothing", "/x"), "/a", Ok("/a")),
        (regex("$", "/$1"), "/a", Ok("/a/$1")),
        (regex("^/", ""), "/a", Err(400)),
        (regex("^.*$", ""), "/a", Err(400)),
        (regex("^/a", ""), "/a/evil.test/x", Ok("/evil.test/x")),
        (regex("^/a", "//"), "/a/evil.test/x", Ok("/evil.test/x")),
        (regex("x", "//"), "/ax/b", Ok("/a///b")),
        (regex("x", "/../"), "/ax", Err(400)),
        (regex("x", " "), "/ax", Err(400)),
        (regex("x", "#"), "/ax", Err(400)),
        (regex("x", "%2f"), "/ax", Err(400)),
        (regex("x", "?y="), "/axz?q", Ok("/a?y=z?q")),
    ] {
        let seen = seen.map(str::to_owned);
        assert_eq!(
            path(&mut world(route.clone()), sent),
            seen,
            "{route} {sent}"
        );
    }
    let mut world = world(regex("a", "b"));
    assert_eq!(
        path(&mut world, &format!("/{}", "a".repeat(5000))),
        Err(400)
    );
    let long_query = format!("/?{}", "a".repeat(5000));
    assert_eq!(path(&mut world, &long_query), Ok(long_query));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// For every request and every rewrite, the upstream gets a path that it cannot read as another one.
    #[test]
    fn rewritten_paths_are_safe(
        prefix in "/[a.]{0,3}",
        replacement in "[/ab.;%2eE\\\\1 #?\u{e9}\n]{0,6}",
        sent in "/[ax./;%2eE?]{0,12}",
        by_pattern in any::<bool>(),
    ) {
        let mut file = config(&public(&json!([{"from": "https://app.test"}])));
        file.routes[0].path = crate::config::PathMatch::Prefix(prefix);
        file.routes[0].rewrite = Some(if by_pattern {
            crate::config::PathRewrite::Regex(crate::config::Substitution {
                pattern: regex_lite::Regex::new("(x|/+)").unwrap(),
                replacement,
            })
        } else {
            crate::config::PathRewrite::Prefix(replacement)
        });
        let gate = Gate::new(file);
        let headers = request("GET", "app.test", &sent, &[]);
        if let Step::Forward(forward) = gate.begin(&Request::new(&headers), &mut Fixture::new().env()) {
            let path = forward.edits().iter().find_map(|edit| match edit {
                crate::http::edit::Edit::Set(name, value) if name == ":path" => Some(value.to_vec()),
                _ => None,
            });
            let path = String::from_utf8(path.unwrap()).unwrap();
            prop_assert!(path.starts_with('/') && !path.starts_with("//"), "{}", path);
            prop_assert!(path.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#'), "{}", path);
            let (plain, _) = crate::http::path::split_query(&path);
            let decoded = crate::http::path::decode(plain);
            prop_assert!(!decoded.split(['/', '\\']).any(|part| matches!(part, "." | "..")), "{}", path);
        }
    }
}

#[test]
fn hosts() {
    let sent: [(&str, &[u8]); 2] = [("x-tenant", b"t1.internal"), ("x-empty", b"")];
    for (route, host, told) in [
        (json!({}), "app.test:8443", None),
        (json!({"preserve_host_header": true}), "app.test:8443", None),
        (
            json!({"host_rewrite": "up.internal"}),
            "up.internal",
            Some("app.test:8443"),
        ),
        (
            json!({"host_rewrite_header": "X-Tenant"}),
            "t1.internal",
            Some("app.test:8443"),
        ),
        (
            json!({"host_rewrite_header": "X-Other"}),
            "app.test:8443",
            None,
        ),
        (
            json!({"host_rewrite_header": "X-Empty"}),
            "app.test:8443",
            None,
        ),
        (
            json!({"host_rewrite_header": "X-Set", "set_request_headers": {"X-Set": "set.internal"}}),
            "set.internal",
            Some("app.test:8443"),
        ),
        (
            json!({"host_rewrite_header": "X-Tenant", "remove_request_headers": ["X-Tenant"]}),
            "app.test:8443",
            None,
        ),
        (
            json!({"host_path_regex_rewrite_pattern": "^/t/([^/]+)/.*$",
                   "host_path_regex_rewrite_substitution": r"\1.internal", "prefix_rewrite": "/x"}),
            "one.internal",
            Some("app.test:8443"),
        ),
    ] {
        let mut world = world(route.clone());
        let mut headers = request("GET", "app.test:8443", "/t/one/x", &sent);
        headers.push(("x-forwarded-host".to_owned(), b"evil.test".to_vec()));
        let seen = world.upstream(&headers);
        assert_eq!(seen.get(":authority").as_deref(), Some(host), "{route}");
        assert_eq!(seen.get("x-forwarded-host").as_deref(), told, "{route}");
    }
}

#[test]
fn hosts_of_a_client_are_hosts() {
    let mut by_header = world(json!({"host_rewrite_header": "X-Tenant"}));
    let mut by_path = world(json!({"host_path_regex_rewrite_pattern": "^/",
                                   "host_path_regex_rewrite_substitution": ""}));
    for value in ["a b", "a/b", "user@a", "a,b", "a:b", "\u{e9}"] {
        let headers = request("GET", "app.test", "/", &[("x-tenant", value.as_bytes())]);
        assert_eq!(by_header.reply(&headers).status, 400, "{value}");
    }
    for (path, expected) in [("/", 400), ("/a/b", 400), ("/a@b", 400)] {
        let headers = request("GET", "app.test", path, &[]);
        assert_eq!(by_path.reply(&headers).status, expected, "{path}");
    }
    let headers = request("GET", "app.test", "/up.internal:80", &[]);
    let seen = by_path.upstream(&headers).get(":authority");
    assert_eq!(seen.as_deref(), Some("up.internal:80"));
}

/// Asserts where a redirect leads for a request of `sent` on `host`.
fn assert_redirect(redirect: &Value, host: &str, sent: &str, location: &str) {
    let prefix = if sent.starts_with("/a") { "/a" } else { "/" };
    let mut world = world(json!({"redirect": redirect, "prefix": prefix}));
    let reply = world.reply(&request("GET", host, sent, &[]));
    assert_eq!(reply.status, 301);
    assert_eq!(
        reply.header("location"),
        Some(location),
        "{redirect} {sent}"
    );
}

#[test]
fn redirects_of_host_port_and_scheme() {
    for (redirect, host, sent, location) in [
        (
            json!({"host_redirect": "new.test"}),
            "app.test",
            "/a?q",
            "https://new.test/a?q",
        ),
        (
            json!({"host_redirect": "new.test"}),
            "app.test:8443",
            "/",
            "https://new.test/",
        ),
        (
            json!({"port_redirect": 8443}),
            "app.test",
            "/",
            "https://app.test:8443/",
        ),
        (
            json!({"port_redirect": 443}),
            "app.test:8443",
            "/",
            "https://app.test/",
        ),
        (
            json!({"scheme_redirect": "http"}),
            "app.test:443",
            "/",
            "http://app.test/",
        ),
        (
            json!({"scheme_redirect": "http", "port_redirect": 80}),
            "app.test",
            "/",
            "http://app.test/",
        ),
        (
            json!({"scheme_redirect": "http", "port_redirect": 443}),
            "app.test",
            "/",
            "http://app.test:443/",
        ),
        (
            json!({"https_redirect": true, "scheme_redirect": "http", "host_redirect": "new.test"}),
            "app.test",
            "/",
            "https://new.test/",
        ),
    ] {
        assert_redirect(&redirect, host, sent, location);
    }
}

#[test]
fn redirects_of_the_path() {
    for (redirect, host, sent, location) in [
        (
            json!({"path_redirect": "/b"}),
            "app.test:8443",
            "/a?q",
            "https://app.test:8443/b?q",
        ),
        (
            json!({"path_redirect": "/b"}),
            "app.test:443",
            "/a",
            "https://app.test/b",
        ),
        (
            json!({"path_redirect": "/b?own", "strip_query": true}),
            "app.test",
            "/a?q",
            "https://app.test/b?own",
        ),
        (
            json!({"path_redirect": "/b", "prefix_rewrite": "/c"}),
            "app.test",
            "/a",
            "https://app.test/b",
        ),
        (
            json!({"prefix_rewrite": "/c", "strip_query": true}),
            "app.test",
            "/a/x?q",
            "https://app.test/c/x",
        ),
        (
            json!({"prefix_rewrite": "/c"}),
            "app.test",
            "/a/x?q",
            "https://app.test/c/x?q",
        ),
    ] {
        assert_redirect(&redirect, host, sent, location);
    }
}

#[test]
fn a_redirect_of_a_traversal_is_refused() {
    let mut traversal = world(json!({"redirect": {"prefix_rewrite": "/b/"}, "prefix": "/a"}));
    let reply = traversal.reply(&request("GET", "app.test", "/a../x", &[]));
    assert_eq!(reply.status, 400);
}
