//! N rows about what proxies leave to the core: too many cookies, trust in statements about the client, statuses.

use serde_json::json;

use super::target::Target;
use crate::gate::refuse_status;
use crate::gate::step::Step;
use crate::gate::tests::world::{HTML, Jar, request};
use crate::http::head_size::FORWARDED_BYTES;
use crate::http::reply::Reply;

const HERE: (&str, &[u8]) = ("origin", b"https://app.test");

/// Returns as many cookies as Chromium keeps for a domain, each in its own field.
fn crumbs(size: usize) -> Vec<(String, Vec<u8>)> {
    (0..180)
        .map(|number| {
            let value = format!("sibling{number}={}", "a".repeat(size));
            ("cookie".to_owned(), value.into_bytes())
        })
        .collect()
}

impl Target {
    fn with_crumbs(&mut self, size: usize, method: &str, path: &str, jar: &Jar) -> Step {
        let cookies = jar.header();
        let more = [HTML, HERE, ("cookie", cookies.as_bytes())];
        let mut headers = request(method, "app.test", path, &more);
        headers.extend(crumbs(size));
        self.world.begin(&headers)
    }
}

fn reply(step: Step) -> Reply {
    match step {
        Step::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn n_12_many_small_cookies_pass() {
    let mut target = Target::new();
    let jar = target.innocent();
    let step = target.with_crumbs(8, "GET", "/", &jar);
    assert!(matches!(step, Step::Forward(_)), "{step:?}");
}

#[test]
fn n_12_too_many_cookies_can_be_deleted() {
    let mut target = Target::new();
    let jar = target.innocent();
    let refused = reply(target.with_crumbs(FORWARDED_BYTES / 180, "GET", "/", &jar));
    assert_eq!(refused.status, 431);
    assert!(
        refused
            .body
            .contains(r#"action="/.pomerium/clear_cookies""#)
    );
    // A sibling's page cannot press the button, and a link does not.
    let size = FORWARDED_BYTES / 180;
    let asked = reply(target.with_crumbs(size, "GET", "/.pomerium/clear_cookies", &jar));
    assert_eq!(asked.status, 200);
    assert_eq!(asked.header("set-cookie"), None);
    assert_eq!(asked.header("clear-site-data"), None);
    let cookies = jar.header();
    let foreign = [
        ("origin", &b"https://b.test"[..]),
        ("cookie", cookies.as_bytes()),
    ];
    let foreign = reply(target.send("POST", "/.pomerium/clear_cookies", &foreign));
    assert_eq!(foreign.status, 403);
    assert_eq!(foreign.header("clear-site-data"), None);
    // The form's request has the same cookies, and works.
    let cleared = reply(target.with_crumbs(size, "POST", "/.pomerium/clear_cookies", &jar));
    assert_eq!(cleared.status, 200);
    assert_eq!(cleared.header("clear-site-data"), Some("\"cookies\""));
    let mut jar = jar;
    jar.take(&cleared);
    assert!(jar.0.is_empty(), "{:?}", jar.0.keys());
    target.still_serves("deleted cookies");
}

#[test]
fn n_12_a_long_header_is_refused_without_the_button() {
    let mut target = Target::new();
    let long = "a".repeat(FORWARDED_BYTES);
    let refused = reply(target.send("GET", "/", &[HTML, ("x-any", long.as_bytes())]));
    assert_eq!(refused.status, 431);
    assert!(!refused.body.contains("clear_cookies"));
    target.still_serves("a long header");
}

#[test]
fn n_18_only_trusted_proxies_name_the_client() {
    let mut target = Target::with(&json!({"xff_num_trusted_hops": 1, "insecure_server": true}));
    let jar = target.innocent();
    let cookies = jar.header();
    for (chain, proto, seen_chain, seen_proto) in [
        (
            "evil, 203.0.113.5,192.0.2.7",
            "evil",
            "203.0.113.5, 192.0.2.7",
            "http",
        ),
        ("evil,192.0.2.7", "https,http", "192.0.2.7", "http"),
        (
            "198.51.100.9, 203.0.113.5, 192.0.2.7",
            "https",
            "203.0.113.5, 192.0.2.7",
            "https",
        ),
        (
            "203.0.113.5, 192.0.2.7",
            "http",
            "203.0.113.5, 192.0.2.7",
            "http",
        ),
    ] {
        let seen = target.world.upstream(&request(
            "GET",
            "app.test",
            "/",
            &[
                ("cookie", cookies.as_bytes()),
                ("x-forwarded-for", chain.as_bytes()),
                ("x-forwarded-proto", proto.as_bytes()),
            ],
        ));
        assert_eq!(seen.get("x-forwarded-for").as_deref(), Some(seen_chain));
        assert_eq!(seen.get("x-forwarded-proto").as_deref(), Some(seen_proto));
        target.still_serves("forged addresses");
    }
}

#[test]
fn n_20_statuses_that_are_none_and_protocols_that_were_not_asked_for() {
    for (status, switches, refused) in [
        (&b"200"[..], false, false),
        (b"101", true, false),
        (b"101", false, true),
        (b"200", true, false),
        (b"599", false, false),
        (b"999", false, false),
        (b"1000", false, true),
        (b"099", false, true),
        (b"20", false, true),
        (b"2x0", false, true),
        (b"", false, true),
    ] {
        let reply = refuse_status(status, switches);
        let status = String::from_utf8_lossy(status);
        assert_eq!(
            reply.map(|reply| reply.status),
            refused.then_some(502),
            "{status}"
        );
    }
}
