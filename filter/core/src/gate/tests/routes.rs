//! The route of a request, and routes with a redirect or a fixed response.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{HTML, World, request, status};
use crate::gate::*;
use crate::testing::config;

/// Returns a configuration whose routes allow every request; each route is an object with `from` and what else matters.
pub(super) fn public(routes: &Value) -> Value {
    let mut routes = routes.clone();
    for route in routes.as_array_mut().unwrap() {
        let object = route.as_object_mut().unwrap();
        let answers = object.contains_key("redirect") || object.contains_key("response");
        if !answers {
            object.entry("to").or_insert(json!("http://up"));
        }
        object
            .entry("policy")
            .or_insert(json!({"allow": {"or": [{"accept": true}]}}));
    }
    json!({ "routes": routes })
}

/// Returns the name of the route of a request; `own` for the proxy's own endpoints, and the empty string for none.
fn taken(gate: &Gate, host: &str, path: &str) -> String {
    let headers = request("GET", host, path, &[]);
    let parsed = gate.router.read(&Request::new(&headers)).unwrap();
    match gate.router.find(&parsed) {
        Destination::Route(matched) => matched.route.name.clone(),
        Destination::OwnEndpoint => "own".to_owned(),
        Destination::Nothing => String::new(),
        Destination::OtherPort => "other port".to_owned(),
        Destination::Ambiguous => "ambiguous".to_owned(),
    }
}

#[test]
fn hosts_ports_and_paths() {
    let gate = Gate::new(config(&public(&json!([
        {"name": "wild", "from": "https://*.app.test"},
        {"name": "wild-a", "from": "https://a-*.app.test"},
        {"name": "port", "from": "https://one.app.test:8443"},
        {"name": "path", "from": "https://one.app.test", "path": "/p"},
        {"name": "regex", "from": "https://one.app.test", "regex": "/[0-9]+"},
        {"name": "prefix", "from": "https://one.app.test", "prefix": "/pre"},
        {"name": "deep", "from": "https://*.x.*.test", "prefix": "/deep"},
        {"name": "deeper", "from": "https://*.test", "prefix": "/deep"},
    ]))));
    for (host, path, name) in [
        ("two.app.test", "/", "wild"),
        ("a-1.app.test", "/", "wild"),
        ("TWO.APP.TEST:443", "/", "wild"),
        ("TWO.APP.TEST:99", "/", "other port"),
        ("two.app.test:99", "/.pomerium/sign_in", "other port"),
        ("one.app.test:8444", "/p", "other port"),
        ("else.example:99", "/", ""),
        ("one.app.test", "/p", "path"),
        ("one.app.test:443", "/p", "path"),
        ("one.app.test:8443", "/p", "port"),
        ("one.app.test", "/p/x", ""),
        ("one.app.test", "/12", "regex"),
        ("one.app.test", "/12/x", ""),
        ("one.app.test", "/prefixed", "prefix"),
        ("one.app.test", "/deep", ""),
        ("a.x.y.test", "/deep", "deep"),
        ("a.y.test", "/deep", "deeper"),
        ("a.y.test", "/", ""),
        ("app.test", "/", ""),
        ("app.test.evil", "/deep", ""),
        ("one.app.test", "/.pomerium/x", "own"),
        ("any.test", "/.pomerium", "own"),
        ("any.test", "/.well-known/pomerium/jwks.json", "own"),
        ("any.test", "/.well-known/pomeriums", ""),
        ("else.example", "/ping", "own"),
        ("two.app.test:99", "/healthz", "own"),
        ("127.0.0.1:8443", "/healthz", "own"),
        ("[::1]", "/ping", "own"),
        ("else.example", "/pings", ""),
        ("else.example", "/ping/", ""),
        ("else.example", "/.pomerium/", ""),
    ] {
        assert_eq!(taken(&gate, host, path), name, "{host}{path}");
    }
}

/// The listener's port in [`by_the_book`].
const LISTENING: u16 = 1;

/// Finds a route without the index, by the order of the file. The index must agree.
fn by_the_book(routes: &[Route], host: &str, port: u16, path: &str) -> String {
    let exact = routes
        .iter()
        .any(|route| !route.from.is_wildcard() && route.from.host == host);
    let of_host: Vec<&Route> = routes
        .iter()
        .filter(|route| route.from.is_wildcard() != exact && route.from.fits(host))
        .collect();
    let of_port: Vec<&&Route> = of_host
        .iter()
        .filter(|route| match route.from.port {
            Some(own) => own == port,
            None => [443, LISTENING].contains(&port),
        })
        .collect();
    if of_port.is_empty() && !of_host.is_empty() {
        return "other port".to_owned();
    }
    let found = of_port.iter().find(|route| route.path.serves(path));
    found.map_or_else(String::new, |route| route.name.clone())
}

proptest! {
    #[test]
    fn the_index_finds_what_the_file_says(
        froms in proptest::collection::vec(("[ab*]{1,3}\\.[ab*]{1,2}\\.t", 0_u16..3, "/[ab]{0,1}"), 1..12),
        host in "[ab]{1,3}\\.[ab]{1,3}\\.t",
        port in 1_u16..3,
        path in "/[ab]{0,2}",
    ) {
        let mut routes = Vec::new();
        for (place, (from, port, prefix)) in froms.iter().enumerate() {
            let port = if *port == 0 { String::new() } else { format!(":{port}") };
            routes.push(json!({"name": place.to_string(), "from": format!("https://{from}{port}"),
                               "prefix": prefix, "to": format!("http://up{place}")}));
        }
        let mut file = public(&Value::Array(routes));
        file["address"] = json!(format!(":{LISTENING}"));
        let gate = Gate::new(config(&file));
        let expected = by_the_book(gate.router.routes(), &host, port, &path);
        prop_assert_eq!(taken(&gate, &format!("{host}:{port}"), &path), expected);
    }
}

#[test]
fn a_session_of_one_host_of_a_wildcard_is_none_on_another() {
    let mut world = World::with(&json!({"routes": [
        {"from": "https://*.app.test", "to": "http://up", "policy": {"allow": {"or": [{"authenticated_user": true}]}}},
    ]}));
    let jar = world.sign_in("one.app.test", "/", "alice@corp.test");
    assert_eq!(status(&world.visit("one.app.test", "/", &jar)), 200);
    assert_eq!(status(&world.visit("two.app.test", "/", &jar)), 303);
}

/// Returns a configuration with a redirect and a fixed response, each for Alice alone.
fn for_alice() -> Value {
    let alice = json!({"allow": {"or": [{"email": "alice@corp.test"}]}});
    json!({"routes": [
        {"from": "https://app.test", "prefix": "/old", "redirect": {"host_redirect": "new.test"}, "policy": alice},
        {"from": "https://app.test", "response": {"status": 418, "body": "teapot"}, "policy": alice},
    ]})
}

#[test]
fn redirects_and_answers_come_after_the_permit() {
    let mut world = World::with(&for_alice());
    let alice = world.sign_in("app.test", "/", "alice@corp.test").header();
    let mallory = world.sign_in("app.test", "/", "mallory@corp.test").header();
    for (path, permitted) in [("/old/x?y", 301), ("/other", 418)] {
        for (cookie, expected) in [(&alice, permitted), (&mallory, 403), (&String::new(), 303)] {
            let headers = request(
                "GET",
                "app.test",
                path,
                &[HTML, ("cookie", cookie.as_bytes())],
            );
            let reply = world.reply(&headers);
            assert_eq!(reply.status, expected, "{path}");
            let told = reply.body == "teapot"
                || reply
                    .header("location")
                    .is_some_and(|to| to.contains("new.test"));
            assert_eq!(told, expected == permitted, "{path}");
        }
    }
}

#[test]
fn answers_that_routes_give() {
    let mut world = World::with(&public(&json!([
        {"from": "https://app.test", "prefix": "/text", "response": {"status": 200, "body": "<b>hi</b>"},
         "set_response_headers": {"X-Own": "1", "Cache-Control": "max-age=5"}},
        {"from": "https://app.test", "prefix": "/none", "response": {"status": 204, "body": "never"}},
        {"from": "https://app.test", "prefix": "/to", "redirect": {"path_redirect": "/text", "response_code": 308},
         "set_response_headers": {"X-Own": "2"}},
    ])));
    for method in ["GET", "HEAD", "POST"] {
        let reply = world.reply(&request(method, "app.test", "/text", &[]));
        assert_eq!((reply.status, reply.body.as_str()), (200, "<b>hi</b>"));
        let header = |name| reply.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-own"), "1");
        assert_eq!(header("cache-control"), "max-age=5", "the file's own word");
        assert_eq!(header("x-frame-options"), "SAMEORIGIN", "a default");
        let reply = world.reply(&request(method, "app.test", "/to?q", &[]));
        assert_eq!(reply.status, 308);
        assert_eq!(reply.header("location"), Some("https://app.test/text?q"));
        assert_eq!(reply.header("x-own"), Some("2"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    let reply = world.reply(&request("GET", "app.test", "/none", &[]));
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    let upgrade = request("GET", "app.test", "/text", &[("upgrade", b"websocket")]);
    assert_eq!(world.reply(&upgrade).status, 403);
}
