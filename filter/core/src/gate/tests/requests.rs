//! Single requests: which are forwarded, which are answered by the proxy, and which are refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{HTML, Headers, KEY, World, request, status};
use crate::contract::ROUTE_HEADER;
use crate::gate::*;
use crate::http::edit::Edit;
use crate::testing::{Fixture, config};

#[test]
fn nobody() {
    let mut world = World::new();
    let mut code = |headers: Headers| world.reply(&headers).status;
    assert_eq!(code(request("GET", "app.test", "/", &[HTML])), 303);
    assert_eq!(
        code(request("GET", "app.test", "/", &[("accept", b"*/*")])),
        401
    );
    assert_eq!(code(request("POST", "app.test", "/", &[HTML])), 401);
    assert_eq!(
        code(request(
            "GET",
            "app.test",
            "/",
            &[HTML, ("upgrade", b"websocket")]
        )),
        401
    );
    assert_eq!(code(request("GET", "other.test", "/", &[HTML])), 404);
    assert_eq!(code(request("GET", "app.test", "/%2f", &[HTML])), 400);
    let reply = world.reply(&request("POST", "app.test", "/", &[]));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(serde_json::from_str::<Value>(&reply.body).unwrap()["sign_in_url"].is_string());
}

#[test]
fn a_form_without_a_session_gets_a_page_and_is_not_replayed() {
    let mut world = World::new();
    let reply = world.reply(&request("POST", "app.test", "/save?a=b", &[HTML]));
    assert_eq!(reply.status, 401);
    let kind = reply.header("content-type");
    assert_eq!(kind, Some("text/html; charset=utf-8"));
    assert!(reply.header("www-authenticate").is_some());
    assert!(reply.header("set-cookie").is_none(), "no sign-in has begun");
    for expected in [
        "Your form was not sent to the application.",
        "href=\"/.pomerium/sign_in\"",
    ] {
        assert!(reply.body.contains(expected), "{}", reply.body);
    }
    assert!(!reply.body.contains("/save"), "{}", reply.body);

    let json: (&str, &[u8]) = ("accept", b"application/json");
    let script: (&str, &[u8]) = ("sec-fetch-mode", b"cors");
    for extra in [[json, script], [HTML, script]] {
        let reply = world.reply(&request("POST", "app.test", "/", &extra));
        let kind = reply.header("content-type");
        assert_eq!((reply.status, kind), (401, Some("application/json")));
    }
}

#[test]
fn what_the_upstream_gets() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    let session = jar.header();
    let headers = request(
        "GET",
        "app.test",
        "/x/../y?q",
        &[
            ("cookie", b"a=\xff; cockpit=\"x\""),
            ("cookie", session.as_bytes()),
            ("x-pomerium-claim-email", b"evil"),
            ("x_pomerium_jwt_assertion", b"evil"),
            ("x-jetway-route", b"0123456789abcdef"),
        ],
    );
    let step = world.begin(&headers);
    let Step::Forward(forward) = step else {
        panic!("{step:?}")
    };
    let route = world.gate.router.routes()[0].id.clone().into_bytes();
    assert_eq!(
        forward.edits(),
        [
            Edit::Remove("x-pomerium-claim-email".into()),
            Edit::Remove("x_pomerium_jwt_assertion".into()),
            Edit::Remove("x-jetway-route".into()),
            Edit::set(":path", b"/y?q".to_vec()),
            Edit::set("cookie", b"a=\xff; cockpit=\"x\"".to_vec()),
            Edit::set(ROUTE_HEADER, route),
        ]
    );
}

#[test]
fn routes_by_path_in_file_order() {
    let mut world = World::new();
    assert_eq!(
        status(&world.begin(&request("GET", "b.test", "/open/x", &[]))),
        200,
        "public"
    );
    assert_eq!(
        status(&world.begin(&request("GET", "b.test", "/open/../closed", &[]))),
        401
    );
    assert_eq!(
        status(&world.begin(&request("GET", "B.test", "/OPEN/x", &[]))),
        401,
        "paths have a case"
    );
}

#[test]
fn websockets() {
    let mut world = World::new();
    let app = world.sign_in("app.test", "/", "alice@corp.test").header();
    let b = world.sign_in("b.test", "/", "alice@corp.test").header();
    let mut code = |host: &str, cookie: &str, extra: &[(&str, &[u8])]| {
        let mut all = vec![("cookie", cookie.as_bytes())];
        all.extend_from_slice(extra);
        status(&world.begin(&request("GET", host, "/socket", &all)))
    };
    let upgrade: (&str, &[u8]) = ("upgrade", b"WebSocket");
    let version: (&str, &[u8]) = ("sec-websocket-version", b"13");
    assert_eq!(
        code(
            "app.test",
            &app,
            &[upgrade, version, KEY, ("origin", b"https://app.test")]
        ),
        200
    );
    assert_eq!(
        code("app.test", &app, &[upgrade, version, KEY]),
        200,
        "not a browser"
    );
    for origin in [
        "https://app.test.evil",
        "http://app.test",
        "https://app.test:444",
        "null",
    ] {
        assert_eq!(
            code(
                "app.test",
                &app,
                &[upgrade, version, KEY, ("origin", origin.as_bytes())]
            ),
            403,
            "{origin}"
        );
    }
    assert_eq!(code("app.test", &app, &[("upgrade", b"h2c")]), 403);
    assert_eq!(
        code(
            "b.test",
            &b,
            &[upgrade, version, KEY, ("origin", b"https://b.test")]
        ),
        403,
        "allow_websockets is off"
    );
}

#[test]
fn own_addresses_never_reach_the_upstream() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    for (path, expected) in [
        ("/.pomerium/", 200),
        ("/.pomerium/x", 404),
        ("/.pomerium/../.pomerium/x", 404),
        ("/%2epomerium/x", 404),
        ("/ping", 200),
        ("/.pomeriumx", 200),
        ("/x/.pomerium/callback", 200),
    ] {
        let step = world.visit("app.test", path, &jar);
        assert_eq!(status(&step), expected, "{path}");
        let ours = !matches!(path, "/.pomeriumx" | "/x/.pomerium/callback");
        assert_eq!(matches!(step, Step::Reply(_)), ours, "{path}");
    }
}

#[test]
fn pages_carry_the_request_id_and_escape_what_they_show() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "m&m@corp.test").header();
    let headers = request(
        "GET",
        "app.test",
        "/",
        &[
            HTML,
            ("cookie", jar.as_bytes()),
            ("x-request-id", b"abc-123"),
        ],
    );
    let reply = world.reply(&headers);
    assert!(
        reply.body.contains("m&#38;m@corp.test") && reply.body.contains("abc-123"),
        "{}",
        reply.body
    );
    assert!(
        reply
            .header("content-security-policy")
            .unwrap()
            .contains("form-action 'self' https://op.test;")
    );
    let odd = request(
        "GET",
        "app.test",
        "/",
        &[HTML, ("cookie", jar.as_bytes()), ("x-request-id", b"<b>")],
    );
    assert!(!world.reply(&odd).body.contains("<b>"));
}

#[test]
fn unreadable_requests_get_their_page_and_id_as_well() {
    let mut world = World::new();
    let reply = world.reply(&request(
        "GET",
        "app.test",
        "/%2f",
        &[HTML, ("x-request-id", b"id-7")],
    ));
    assert!(
        reply.status == 400 && reply.body.contains("id-7") && reply.body.starts_with("<!doctype")
    );
}

fn any_headers() -> impl Strategy<Value = Headers> {
    let name = prop_oneof![
        Just(":path"),
        Just(":method"),
        Just(":authority"),
        Just("host"),
        Just("cookie"),
        Just("accept"),
        Just("origin"),
        Just("upgrade"),
        Just("x-request-id"),
        Just("sec-fetch-mode"),
        Just("x-pomerium-claim-email"),
    ];
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(b"/".to_vec()),
        Just(b"/.pomerium/callback?code=a&state=b.c".to_vec()),
        Just(b"GET".to_vec()),
        Just(b"app.test".to_vec()),
        Just(b"b.test".to_vec()),
        Just(b"text/html".to_vec()),
        Just(b"websocket".to_vec()),
        Just(b"__Host-_pomerium=AQAAAAAA; __Host-_pomerium_attempt_b=x".to_vec()),
    ];
    proptest::collection::vec((name, value), 0..8).prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    })
}

/// No input causes a panic, and no request without a session passes a route that requires one.
#[test]
fn no_input_without_a_session_is_forwarded() {
    let gate = Gate::new(config(&json!({})));
    let public = gate.router.routes()[1].id.clone().into_bytes();
    let cases = ProptestConfig::with_cases(2000);
    proptest!(cases, |(pairs in any_headers(), host in "app|b")| {
        let mut headers = request("GET", &format!("{host}.test"), "/closed", &[]);
        headers.retain(|(name, _)| !pairs.iter().any(|(other, _)| other == name));
        headers.extend(pairs);
        if let Step::Forward(forward) = gate.begin(&Request::new(&headers), &mut Fixture::new().env()) {
            prop_assert_eq!(forward.edits().last(), Some(&Edit::set(ROUTE_HEADER, &public[..])));
        }
    });
}
