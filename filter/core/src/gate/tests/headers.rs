//! Headers that routes set, remove and rewrite, on the way to the upstream and back.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::routes::public;
use super::world::{Headers, Sight, World, request};
use crate::contract::ROUTE_HEADER;
use crate::gate::step::Forwarded;

/// A world with one public route of `https://app.test`, and further keys at the top of the file.
fn world(mut route: Value, more: &Value) -> World {
    route["from"] = json!("https://app.test");
    let mut file = public(&json!([route]));
    for (key, value) in more.as_object().unwrap() {
        file[key] = value.clone();
    }
    World::with(&file)
}

fn sent(extra: &[(&str, &[u8])]) -> Headers {
    request("GET", "app.test", "/", extra)
}

#[test]
fn request_headers_are_removed_and_set() {
    let mut world = world(
        json!({
            "set_request_headers": {"X-Fixed": "a $$ b", "X-Both": "set", "X-Copy": "<${pomerium.request.headers[\"X-In\"]}>",
                                    "X-Unknown": "[$pomerium.nothing]", "X-Text": "${oops"},
            "remove_request_headers": ["X-Gone", "X-Both", "Accept-Language"],
        }),
        &json!({}),
    );
    let seen = world.upstream(&sent(&[
        ("x-in", b"one"),
        ("x-in", b"two\xff"),
        ("x-gone", b"1"),
        ("x-gone", b"2"),
        ("x-both", b"client"),
        ("x-fixed", b"client"),
        ("x-kept", b"client"),
    ]));
    for (name, value) in [
        ("x-fixed", Some("a $ b")),
        ("x-both", Some("set")),
        ("x-copy", Some("<one,two\u{fffd}>")),
        ("x-unknown", Some("[]")),
        ("x-text", Some("${oops")),
        ("x-gone", None),
        ("x-kept", Some("client")),
    ] {
        assert_eq!(seen.get(name).as_deref(), value, "{name}");
    }
}

#[test]
fn templates_show_nothing_that_upstreams_may_not_see() {
    let reference = |name: &str| format!("${{pomerium.request.headers[\"{name}\"]}}");
    let mut world = World::with(&json!({
        "jwt_claims_headers": {"Remote-Mail": "email"},
        "routes": [{"from": "https://app.test", "to": "http://up",
            "set_request_headers": {"X-Cookie": reference("Cookie"), "X-Claim": reference("X-Pomerium-Claim-Email"),
                "X-Route": reference("x-jetway-route"), "X-Path": reference(":path"),
                "X-Cert": reference("x-forwarded-client-cert"), "X-Mail": reference("Remote-Mail")},
            "policy": {"allow": {"or": [{"authenticated_user": true}]}}}]}));
    let jar = world.sign_in("app.test", "/", "alice@corp.test").header();
    let seen = world.upstream(&sent(&[
        ("cookie", b"a=b"),
        ("cookie", jar.as_bytes()),
        ("x-pomerium-claim-email", b"evil"),
        ("x-jetway-route", b"evil"),
        ("x-forwarded-client-cert", b"evil"),
        ("remote-mail", b"evil"),
    ]));
    assert_eq!(seen.get("x-cookie").as_deref(), Some("a=b"));
    for name in ["x-claim", "x-route", "x-path", "x-cert", "x-mail"] {
        assert_eq!(seen.get(name).as_deref(), Some(""), "{name}");
    }
}

/// The header rules of one route cost requests on another nothing.
#[test]
fn a_plain_route_pays_for_no_other() {
    let plain = json!({"from": "https://app.test", "to": "http://up",
                       "policy": {"allow": {"or": [{"accept": true}]}}});
    let rich = json!({"from": "https://*.test", "to": "http://up/x", "pass_identity_headers": true,
                      "host_rewrite_header": "x-h", "remove_request_headers": ["x-in"],
                      "set_request_headers": {"x-out": "${pomerium.jwt}"}, "policy": plain["policy"]});
    let files = [
        json!({"routes": [plain]}),
        json!({"routes": [plain, rich], "jwt_claims_headers": {"x-mail": "email"}}),
    ];
    let counts = files.map(|file| {
        let mut world = World::with(&file);
        let headers = sent(&[("x-in", b"1"), ("cookie", b"a=b")]);
        let counted = allocation_counter::measure(|| {
            let mut env = world.fixture.env();
            let _ = world
                .gate
                .begin(&crate::http::request::Request::new(&headers), &mut env);
        });
        counted.count_total
    });
    assert_eq!(counts[0], counts[1]);
    // One of them is the path with which an open stream is rechecked.
    assert!(counts[0] <= 6, "{counts:?}");
}

#[test]
fn no_header_of_the_file_chooses_another_upstream() {
    let mut file = crate::testing::config(&public(&json!([{"from": "https://app.test"}])));
    let headers = &mut file.routes[0].request_headers;
    headers.set = vec![(
        ROUTE_HEADER.to_owned(),
        crate::http::template::Template::parse("${pomerium.request.headers[\"x-in\"]}"),
    )];
    headers.remove = vec![ROUTE_HEADER.to_owned()];
    let id = file.routes[0].id.clone();
    let mut world = World::new();
    world.gate = crate::gate::Gate::new(file);
    let seen = world.upstream(&sent(&[("x-in", b"other"), (ROUTE_HEADER, b"other")]));
    assert_eq!(seen.get(ROUTE_HEADER), Some(id));
}

/// A client's header is one header for the upstream, whatever its value.
#[test]
fn clients_inject_nothing() {
    let reference = "a${pomerium.request.headers[\"x-in\"]}$pomerium.request.headers.x-in b";
    let world = world(
        json!({"set_request_headers": {"X-Out": reference}}),
        &json!({}),
    );
    let world = std::cell::RefCell::new(world);
    proptest!(|(value in proptest::collection::vec(any::<u8>(), 0..30))| {
        let seen = world.borrow_mut().upstream(&sent(&[("x-in", &value)]));
        let out: Vec<&Vec<u8>> = seen
            .headers
            .iter()
            .filter(|(name, _)| name == "x-out")
            .map(|(_, out)| out)
            .collect();
        prop_assert_eq!(out.len(), 1);
        prop_assert!(out[0].iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f)));
    });
}

/// Returns an upstream's response as the browser gets it.
fn answer(world: &mut World, status: &str, headers: &[(&str, &str)]) -> Sight {
    let forwarded = world.upstream(&sent(&[])).forwarded.unwrap();
    let mut answer = vec![(":status".to_owned(), status.as_bytes().to_vec())];
    for (name, value) in headers {
        answer.push(((*name).to_owned(), value.as_bytes().to_vec()));
    }
    world.answer_of(&forwarded, &answer)
}

#[test]
fn answers_are_edited() {
    let mut world = world(
        json!({
            "set_response_headers": {"X-Set": "route"},
            "rewrite_response_headers": [
                {"header": "Location", "prefix": "http://up/", "value": "https://app.test/"},
                {"header": "Location", "prefix": "https://app.test/x", "value": "https://app.test/y"},
                {"header": "Link", "prefix": "<http://up", "value": "<https://app.test"},
                {"header": "X-Set", "prefix": "ro", "value": "rewritten-ro"},
                {"header": "X-Frame-Options", "prefix": "SAME", "value": "NO-SAME"},
            ],
        }),
        &json!({}),
    );
    let seen = answer(
        &mut world,
        "302",
        &[
            ("location", "http://up/x/1"),
            ("link", "<http://up/1>"),
            ("link", "<http://other/2>"),
            ("x-set", "upstream"),
            ("x-kept", "1"),
        ],
    );
    for (name, value) in [
        ("location", "https://app.test/y/1"),
        ("link", "<https://app.test/1>|<http://other/2>"),
        ("x-set", "rewritten-route"),
        ("x-kept", "1"),
        ("x-frame-options", "NO-SAMEORIGIN"),
    ] {
        assert_eq!(seen.get(name).as_deref(), Some(value), "{name}");
    }
    let untouched = answer(&mut world, "200", &[("location", "http://else/")]);
    assert_eq!(untouched.get("location").as_deref(), Some("http://else/"));
}

#[test]
fn defaults_give_way_to_the_upstream() {
    let mut world = world(json!({}), &json!({}));
    let own = answer(&mut world, "200", &[("x-frame-options", "DENY")]);
    assert_eq!(own.get("x-frame-options").as_deref(), Some("DENY"));
    let missing = answer(&mut world, "200", &[]);
    assert_eq!(
        missing.get("x-frame-options").as_deref(),
        Some("SAMEORIGIN")
    );
    let switching = answer(&mut world, "101", &[("upgrade", "websocket")]);
    assert_eq!(switching.get("x-frame-options"), None);
}

#[test]
fn set_headers_are_on_every_answer() {
    let all = json!({"set_response_headers": {"X-Common": "1", "X-Frame-Options": "DENY"}});
    let mut common = world(json!({"set_response_headers": {"X-Own": "2"}}), &all);
    for status in ["200", "101", "503"] {
        let seen = answer(&mut common, status, &[("x-common", "upstream")]);
        assert_eq!(seen.get("x-common").as_deref(), Some("1"));
        assert_eq!(seen.get("x-own").as_deref(), Some("2"));
        assert_eq!(seen.get("x-frame-options").as_deref(), Some("DENY"));
    }
    let mut disabled = world(json!({"set_response_headers": {"disable": true}}), &all);
    let seen = answer(&mut disabled, "200", &[]);
    assert_eq!(seen.headers.len(), 1, "{seen:?}");
}

/// N-16: headers that only proxies may write, also those in the configuration, are removed, and templates do not see them.
#[test]
fn n_16_what_only_proxies_state_is_removed() {
    let copied = "${pomerium.request.headers[\"True-Client-IP\"]}";
    let mut world = world(
        json!({"set_request_headers": {"X-Copy": copied, "X-Remote-Email": "the file's"}}),
        &json!({"reserved_request_headers": ["X-Tenant", "X-Company-*"]}),
    );
    let forged = [
        "x-auth-request-groups",
        "x-auth-request-preferred-username",
        "x-remote-user",
        "x-remote-groups",
        "x-remote-email",
        "x-http-method",
        "true-client-ip",
        "cf-connecting-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "fastly-client-ip",
        "x_remote_user",
        "x-tenant",
        "x.tenant",
        "x-company-role",
    ];
    let mut headers: Vec<(&str, &[u8])> =
        forged.iter().map(|name| (*name, &b"forged"[..])).collect();
    headers.push(("x-innocent", b"kept"));
    let seen = world.upstream(&sent(&headers));
    let passed = seen.headers.iter().find(|(_, value)| value == b"forged");
    assert_eq!(passed, None);
    assert_eq!(seen.get("x-copy").as_deref(), Some(""));
    assert_eq!(seen.get("x-remote-email").as_deref(), Some("the file's"));
    assert_eq!(seen.get("x-innocent").as_deref(), Some("kept"));
}

/// Forwards two requests of a user whose session cookie is sealed again, one of them on a route that sets `Cache-Control`.
/// Returns what their responses are edited by.
fn forwarded_with_cookies() -> (World, Forwarded, Forwarded) {
    let old = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let new = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";
    let mut before = World::with(&json!({"cookie_secret": old}));
    let jar = before.sign_in("app.test", "/", "alice@corp.test").header();
    let routes = json!([{"from": "https://app.test", "to": "http://up", "prefix": "/set",
            "set_response_headers": {"Cache-Control": "public, max-age=9"},
            "policy": {"allow": {"or": [{"authenticated_user": true}]}}},
        {"from": "https://app.test", "to": "http://up",
            "policy": {"allow": {"or": [{"authenticated_user": true}]}}}]);
    let mut world = World::with(
        &json!({"cookie_secret": new, "cookie_secret_previous": old, "routes": routes}),
    );
    let mut forwarded = |path: &str| {
        let cookie = [("cookie", jar.as_bytes())];
        let seen = world.upstream(&request("GET", "app.test", path, &cookie));
        let forwarded = seen.forwarded.unwrap();
        assert!(!forwarded.cookies.is_empty(), "the cookie is sealed again");
        forwarded
    };
    let (plain, set) = (forwarded("/"), forwarded("/set"));
    (world, plain, set)
}

/// Returns a response with these headers as the client sees it.
fn response(world: &World, forwarded: &Forwarded, headers: &[(&str, &str)]) -> Sight {
    let headers: Headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    world.answer_of(forwarded, &headers)
}

/// N-17: a response that sets a session is private, whatever `Cache-Control` the upstream sends.
#[test]
fn n_17_responses_with_a_session_are_for_one_browser() {
    let (world, plain, set) = forwarded_with_cookies();
    for (headers, expected) in [
        (&[][..], "private"),
        (
            &[("cache-control", "public, max-age=600")],
            "private, max-age=600",
        ),
        (
            &[
                ("cache-control", "s-maxage=60"),
                ("cache-control", "max-age=5, must-revalidate"),
            ],
            "private, max-age=5, must-revalidate",
        ),
        (&[("cache-control", "no-store")], "no-store"),
    ] {
        let seen = response(&world, &plain, headers);
        assert_eq!(seen.get("cache-control").as_deref(), Some(expected));
        let cookies = seen.get("set-cookie").unwrap();
        assert!(cookies.starts_with("__Host-_pomerium="), "{cookies}");
    }
    // The configuration cannot make it public either.
    let seen = response(&world, &set, &[]);
    assert_eq!(
        seen.get("cache-control").as_deref(),
        Some("private, max-age=9")
    );
}

/// N-17: headers for shared caches are removed from a response that sets a session, and from no other.
#[test]
fn n_17_responses_with_a_session_have_no_headers_for_shared_caches() {
    let (world, plain, _) = forwarded_with_cookies();
    let overruling = [
        ("cdn-cache-control", "max-age=600"),
        ("surrogate-control", "max-age=600"),
        ("expires", "Thu, 01 Jan 2032 00:00:00 GMT"),
        ("set-cookie", "own=1"),
    ];
    let seen = response(&world, &plain, &overruling);
    assert_eq!(seen.get("cdn-cache-control"), None);
    assert_eq!(seen.get("surrogate-control"), None);
    assert!(seen.get("expires").is_some());
    assert!(seen.get("set-cookie").unwrap().starts_with("own=1|__Host-"));
    let without = Forwarded {
        cookies: Vec::new(),
        ..plain
    };
    let public = [
        ("cache-control", "public"),
        ("cdn-cache-control", "max-age=1"),
    ];
    let seen = response(&world, &without, &public);
    assert_eq!(seen.get("cache-control").as_deref(), Some("public"));
    assert!(seen.get("cdn-cache-control").is_some());
}

/// N-17: the same holds for the fixed responses of a route.
#[test]
fn n_17_fixed_answers_with_a_session_are_for_one_browser() {
    let old = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let new = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";
    let mut before = World::with(&json!({"cookie_secret": old}));
    let jar = before.sign_in("app.test", "/", "alice@corp.test").header();
    let mut world = World::with(&json!({
        "cookie_secret": new, "cookie_secret_previous": old,
        "routes": [{"from": "https://app.test", "response": {"status": 200, "body": "hello"},
            "set_response_headers": {"Cache-Control": "public, max-age=9", "CDN-Cache-Control": "max-age=9"},
            "policy": {"allow": {"or": [{"authenticated_user": true}]}}}]}));
    let refreshed = world.reply(&sent(&[("cookie", jar.as_bytes())]));
    assert!(refreshed.header("set-cookie").is_some());
    assert_eq!(
        refreshed.header("cache-control"),
        Some("private, max-age=9")
    );
    assert_eq!(refreshed.header("cdn-cache-control"), None);
}

#[test]
fn upstreams_cannot_set_our_cookies() {
    let mut plain = world(json!({}), &json!({}));
    let cookies = [
        ("set-cookie", "a=1; Path=/x"),
        ("set-cookie", "__Host-_pomerium=evil; Path=/"),
        ("set-cookie", "b=2"),
    ];
    let seen = answer(&mut plain, "200", &cookies);
    assert_eq!(seen.get("set-cookie").as_deref(), Some("a=1; Path=/x|b=2"));
    let seen = answer(&mut plain, "101", &cookies);
    assert_eq!(seen.get("set-cookie").as_deref(), Some("a=1; Path=/x|b=2"));
    let seen = answer(&mut plain, "200", &[("set-cookie", "a=1")]);
    assert_eq!(seen.get("set-cookie").as_deref(), Some("a=1"));
    // The configuration cannot do it either.
    let mut rewriting = world(
        json!({"rewrite_response_headers": [
            {"header": "Set-Cookie", "prefix": "a=", "value": "__Host-_pomerium="},
            {"header": "Set-Cookie", "prefix": "b=", "value": "c="},
        ]}),
        &json!({}),
    );
    let seen = answer(&mut rewriting, "200", &cookies);
    assert_eq!(seen.get("set-cookie").as_deref(), Some("c=2"));
}
