//! Whole flows through the core, with a browser's cookie jar and a provider that signs for real.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::oidc::{ATTEMPT_LIFETIME, MAX_ATTEMPTS};
use crate::testing::{CLIENT, FakeProvider, Fixture, ISSUER, config};

type Headers = Vec<(String, Vec<u8>)>;

/// A gate with its surroundings.
struct World {
    gate: Gate,
    fixture: Fixture,
    fake: FakeProvider,
}

/// What a browser keeps for one host.
#[derive(Clone, Default)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    fn take(&mut self, reply: &Reply) {
        for (_, line) in reply
            .headers
            .iter()
            .filter(|(name, _)| *name == "set-cookie")
        {
            assert!(
                line.starts_with("__Host-") && line.ends_with("; Secure; HttpOnly; SameSite=Lax"),
                "{line}"
            );
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0;") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn header(&self) -> String {
        self.0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

fn request(method: &str, host: &str, path: &str, extra: &[(&str, &[u8])]) -> Headers {
    let base = [
        (":method", method.as_bytes()),
        (":authority", host.as_bytes()),
        (":path", path.as_bytes()),
    ];
    base.iter()
        .chain(extra)
        .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
        .collect()
}

const HTML: (&str, &[u8]) = ("accept", b"text/html");

impl World {
    fn new() -> Self {
        let mut world = Self {
            gate: Gate::new(config(&json!({}))),
            fixture: Fixture::new(),
            fake: FakeProvider::new(),
        };
        world.learn();
        world
    }

    /// Lets the gate fetch the provider's metadata.
    fn learn(&mut self) {
        let _ = self.gate.known_provider();
        let now = self.fixture.now;
        if self.gate.due(now).is_some() {
            let discovery = self.fake.discovery();
            assert!(matches!(
                self.gate.absorb(&ok(&discovery), now),
                Absorbed::Next(_)
            ));
            assert!(matches!(
                self.gate.absorb(&ok(&self.fake.jwks()), now),
                Absorbed::Ready
            ));
        }
    }

    fn begin(&mut self, headers: &Headers) -> Step {
        self.gate
            .begin(&Request::new(headers), &mut self.fixture.env())
    }

    fn reply(&mut self, headers: &Headers) -> Reply {
        match self.begin(headers) {
            Step::Reply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn visit(&mut self, host: &str, path: &str, jar: &Jar) -> Step {
        let cookies = jar.header();
        self.begin(&request(
            "GET",
            host,
            path,
            &[HTML, ("cookie", cookies.as_bytes())],
        ))
    }

    /// Opens an address without a session; what came back is the redirect to the provider.
    fn depart(&mut self, host: &str, path: &str, jar: &mut Jar) -> BTreeMap<String, String> {
        let Step::Reply(reply) = self.visit(host, path, jar) else {
            panic!("a redirect was expected")
        };
        assert_eq!(
            (reply.status, reply.header("cache-control")),
            (303, Some("no-store"))
        );
        jar.take(&reply);
        let location = url::Url::parse(reply.header("location").unwrap()).unwrap();
        assert_eq!(
            (
                location.origin().ascii_serialization().as_str(),
                location.path()
            ),
            (ISSUER, "/authorize")
        );
        location.query_pairs().into_owned().collect()
    }

    fn callback(&mut self, host: &str, state: &str, jar: &Jar) -> Step {
        let path = format!("/.pomerium/callback?code=the-code&state={state}&iss={ISSUER}");
        self.visit(host, &path, jar)
    }

    fn claims(&self, email: &str, nonce: &str) -> Value {
        let now = self.fixture.now.0;
        json!({"iss": ISSUER, "sub": format!("s-{email}"), "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": nonce,
               "email": email, "email_verified": true})
    }

    /// Answers a waiting sign-in with a token response.
    fn answer(&mut self, step: Step, claims: &Value) -> Step {
        let Step::Call(call, waiting) = step else {
            panic!("a call was expected, not {step:?}")
        };
        assert_eq!(call.path, "/token");
        assert!(!format!("{call:?} {waiting:?}").contains("the-code"));
        let body = json!({"id_token": self.fake.sign(claims), "access_token": "at"}).to_string();
        waiting.resume(&self.gate, &ok(&body), &mut self.fixture.env())
    }

    fn sign_in(&mut self, host: &str, path: &str, email: &str) -> Jar {
        let mut jar = Jar::default();
        let query = self.depart(host, path, &mut jar);
        let step = self.callback(host, &query["state"], &jar);
        let claims = self.claims(email, &query["nonce"]);
        let Step::Reply(reply) = self.answer(step, &claims) else {
            panic!("a reply ends a sign-in")
        };
        assert_eq!(
            (reply.status, reply.header("location")),
            (303, Some(path)),
            "{reply:?}"
        );
        jar.take(&reply);
        assert_eq!(jar.0.len(), 1, "only the session is left");
        jar
    }
}

fn ok(body: &str) -> ProviderReply<'_> {
    ProviderReply {
        status: 200,
        body: body.as_bytes(),
    }
}

fn status(step: &Step) -> u16 {
    match step {
        Step::Reply(reply) => reply.status,
        Step::Forward(_) => 200,
        Step::Call(..) | Step::Hold { .. } => 0,
    }
}

#[test]
fn alice_and_bob_get_in_and_mallory_is_told_why_not() {
    let mut world = World::new();
    for (email, expected) in [
        ("alice@corp.test", 200),
        ("bob@corp.test", 200),
        ("mallory@corp.test", 403),
    ] {
        let jar = world.sign_in("app.test", "/a?b=c", email);
        let step = world.visit("app.test", "/a", &jar);
        assert_eq!(status(&step), expected, "{email}");
        if let Step::Reply(reply) = step {
            assert!(
                reply.body.contains("mallory@corp.test")
                    && reply.body.contains("action=\"/.pomerium/sign_out\"")
            );
        }
    }
}

#[test]
fn the_authorization_request() {
    let mut world = World::new();
    let query = world.depart("app.test:8443", "/", &mut Jar::default());
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!(
        query["redirect_uri"],
        "https://app.test:8443/.pomerium/callback"
    );
    assert_eq!(query["scope"], "openid profile email");
    assert!(
        query["nonce"].len() >= 22
            && query["state"].len() >= 22
            && query["code_challenge"].len() == 43
    );
}

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
fn sessions_end_to_the_second_and_stay_on_their_host() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    assert_eq!(
        status(&world.visit("b.test", "/", &jar)),
        303,
        "another host"
    );
    let begun = world.fixture.now;
    world.fixture.now = begun.plus(14 * 3600 - 1);
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 200);
    world.fixture.now = begun.plus(14 * 3600);
    let _ = world.visit("app.test", "/", &jar);
    world.learn();
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
}

#[test]
fn any_changed_byte_of_the_session_refuses() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    let (name, value) = jar.0.iter().next().unwrap();
    for place in 0..value.len() {
        let mut changed = value.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        if changed == value.as_bytes() {
            continue;
        }
        let jar = Jar(BTreeMap::from([(
            name.clone(),
            String::from_utf8(changed).unwrap(),
        )]));
        assert_eq!(
            status(&world.visit("app.test", "/", &jar)),
            303,
            "place {place}"
        );
    }
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 200);
}

#[test]
fn a_sign_in_ends_only_in_the_browser_that_began_it() {
    let mut world = World::new();
    let mut attacker = Jar::default();
    let query = world.depart("app.test", "/", &mut attacker);
    assert_eq!(
        status(&world.callback("app.test", &query["state"], &Jar::default())),
        400,
        "no cookie"
    );
    let mut victim = Jar::default();
    let own = world.depart("app.test", "/", &mut victim);
    assert_eq!(
        status(&world.callback("app.test", &query["state"], &victim)),
        400,
        "another's cookie"
    );
    // The victim's own attempt with the attacker's code: the token's nonce gives it away.
    let step = world.callback("app.test", &own["state"], &victim);
    let claims = world.claims("mallory@corp.test", &query["nonce"]);
    let step = world.answer(step, &claims);
    assert_eq!(status(&step), 400);
    let Step::Reply(reply) = step else {
        unreachable!()
    };
    assert!(
        !reply
            .headers
            .iter()
            .any(|(_, value)| value.contains("_pomerium=") && !value.contains("Max-Age=0"))
    );
    // The attempt is bound to its host, too.
    assert_eq!(
        status(&world.callback("b.test", &query["state"], &attacker)),
        400
    );
}

#[test]
fn a_callback_counts_once() {
    let mut world = World::new();
    let mut jar = Jar::default();
    let query = world.depart("app.test", "/", &mut jar);
    let first = world.callback("app.test", &query["state"], &jar);
    assert!(matches!(first, Step::Call(..)));
    assert_eq!(
        status(&world.callback("app.test", &query["state"], &jar)),
        400,
        "no second call"
    );
    let claims = world.claims("alice@corp.test", &query["nonce"]);
    let Step::Reply(reply) = world.answer(first, &claims) else {
        panic!("a reply")
    };
    jar.take(&reply);
    let Step::Reply(again) = world.callback("app.test", &query["state"], &jar) else {
        panic!("a reply")
    };
    assert_eq!(
        (again.status, again.header("location")),
        (303, Some("/")),
        "the back button of somebody signed in"
    );
}

#[test]
fn a_foreign_callback_leaves_a_session_alone() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    let query = world.depart("app.test", "/", &mut Jar::default());
    let Step::Reply(reply) = world.callback("app.test", &query["state"], &jar) else {
        panic!("a reply")
    };
    assert_eq!(reply.status, 303);
    assert!(reply.header("set-cookie").is_none());
}

#[test]
fn attempts_end_after_ten_minutes() {
    let mut world = World::new();
    let mut jar = Jar::default();
    let query = world.depart("app.test", "/", &mut jar);
    world.fixture.now = world.fixture.now.plus(ATTEMPT_LIFETIME);
    assert_eq!(
        status(&world.callback("app.test", &query["state"], &jar)),
        400
    );
}

#[test]
fn tabs_sign_in_side_by_side_up_to_a_bound() {
    let mut world = World::new();
    let mut jar = Jar::default();
    let first = world.depart("app.test", "/1", &mut jar);
    let second = world.depart("app.test", "/2", &mut jar);
    assert!(matches!(
        world.callback("app.test", &second["state"], &jar),
        Step::Call(..)
    ));
    assert!(matches!(
        world.callback("app.test", &first["state"], &jar),
        Step::Call(..)
    ));
    for tab in 0..200 {
        world.fixture.now = world.fixture.now.plus(1);
        let _ = world.depart("app.test", &format!("/{tab}"), &mut jar);
    }
    assert_eq!(jar.0.len(), MAX_ATTEMPTS);
    assert!(jar.header().len() < 2048, "{} bytes", jar.header().len());
}

#[test]
fn callbacks_that_make_no_sense() {
    let mut world = World::new();
    let mut jar = Jar::default();
    let state = world.depart("app.test", "/", &mut jar)["state"].clone();
    for (query, expected) in [
        (format!("code=a&code=b&state={state}"), 400),
        (format!("code=a&state={state}&state={state}"), 400),
        (format!("code=a&error=b&state={state}"), 400),
        (format!("code=a&state={state}&iss=https://evil.test"), 400),
        (format!("code=a&state={state}"), 400),
        (format!("state={state}&iss={ISSUER}"), 400),
        (format!("code=&state={state}&iss={ISSUER}"), 400),
        (
            format!("code={}&state={state}&iss={ISSUER}", "a".repeat(5000)),
            400,
        ),
        (
            format!("error=access_denied&state={state}&iss={ISSUER}"),
            403,
        ),
        ("error=access_denied".to_owned(), 403),
        ("error=%3Cscript%3E".to_owned(), 403),
        ("code=a".to_owned(), 400),
        ("code=a&state=".to_owned(), 400),
        (format!("code=a&state={state}x&iss={ISSUER}"), 400),
        (String::new(), 400),
    ] {
        let Step::Reply(reply) =
            world.visit("app.test", &format!("/.pomerium/callback?{query}"), &jar)
        else {
            panic!("{query}: a reply")
        };
        assert_eq!(reply.status, expected, "{query}");
        assert!(!reply.body.contains("<script>"));
    }
    assert_eq!(
        world
            .reply(&request(
                "POST",
                "app.test",
                "/.pomerium/callback?code=a",
                &[HTML]
            ))
            .status,
        405
    );
}

#[test]
fn tokens_that_do_not_hold_give_no_session() {
    for (name, value, expected) in [
        ("iss", json!("https://evil.test"), 400),
        ("aud", json!("other"), 400),
        ("exp", json!(1), 400),
        ("nonce", json!("x"), 400),
        ("sub", json!(""), 400),
    ] {
        let mut world = World::new();
        let mut jar = Jar::default();
        let query = world.depart("app.test", "/", &mut jar);
        let step = world.callback("app.test", &query["state"], &jar);
        let mut claims = world.claims("alice@corp.test", &query["nonce"]);
        claims[name] = value;
        let Step::Reply(reply) = world.answer(step, &claims) else {
            panic!("{name}: a reply")
        };
        assert_eq!(reply.status, expected, "{name}");
        jar.take(&reply);
        assert!(
            jar.0.is_empty(),
            "{name}: no session, and the attempt is forgotten"
        );
        assert_eq!(
            status(&world.visit("app.test", "/", &jar)),
            303,
            "the next request is fine"
        );
    }
}

#[test]
fn a_provider_that_answers_rubbish() {
    for (code, body, expected) in [
        (200, "{}", 502),
        (200, "<html>", 502),
        (503, "", 502),
        (0, "", 502),
        (400, r#"{"error":"invalid_grant"}"#, 400),
    ] {
        let mut world = World::new();
        let mut jar = Jar::default();
        let query = world.depart("app.test", "/", &mut jar);
        let Step::Call(_, waiting) = world.callback("app.test", &query["state"], &jar) else {
            panic!("a call")
        };
        let answer = ProviderReply {
            status: code,
            body: body.as_bytes(),
        };
        assert_eq!(
            status(&waiting.resume(&world.gate, &answer, &mut world.fixture.env())),
            expected,
            "{body}"
        );
    }
}

#[test]
fn a_new_key_is_looked_up_once_a_minute() {
    let mut world = World::new();
    world.fixture.now = world.fixture.now.plus(61);
    let old = std::mem::replace(&mut world.fake, FakeProvider::with_key(9, "k2"));
    for (expect_refetch, key_is_there) in [(true, true), (false, false)] {
        if !key_is_there {
            world.fake = FakeProvider::with_key(11, "k3");
        }
        let mut jar = Jar::default();
        let query = world.depart("app.test", "/", &mut jar);
        let step = world.callback("app.test", &query["state"], &jar);
        let claims = world.claims("alice@corp.test", &query["nonce"]);
        match world.answer(step, &claims) {
            Step::Call(call, waiting) => {
                assert!(expect_refetch && call.path == "/jwks");
                let step = waiting.resume(
                    &world.gate,
                    &ok(&world.fake.jwks()),
                    &mut world.fixture.env(),
                );
                assert_eq!(status(&step), 303);
            }
            Step::Reply(reply) => assert!(!expect_refetch && reply.status == 400),
            other => panic!("{other:?}"),
        }
    }
    drop(old);
}

#[test]
fn userinfo_fills_in_the_address() {
    for (info, signed_in) in [
        (json!({"sub": "s-x", "email": "alice@corp.test"}), true),
        (json!({"sub": "other", "email": "alice@corp.test"}), false),
        (json!([]), false),
    ] {
        let mut world = World::new();
        let mut jar = Jar::default();
        let query = world.depart("app.test", "/", &mut jar);
        let step = world.callback("app.test", &query["state"], &jar);
        let mut claims = world.claims("x", &query["nonce"]);
        claims.as_object_mut().unwrap().remove("email");
        let Step::Call(call, waiting) = world.answer(step, &claims) else {
            panic!("UserInfo is asked")
        };
        assert_eq!((call.path.as_str(), call.method), ("/me", "GET"));
        let Step::Reply(reply) = waiting.resume(
            &world.gate,
            &ok(&info.to_string()),
            &mut world.fixture.env(),
        ) else {
            panic!("a reply")
        };
        jar.take(&reply);
        assert_eq!(
            status(&world.visit("app.test", "/", &jar)) == 200,
            signed_in,
            "{info}"
        );
    }
}

#[test]
fn before_the_metadata_is_there_navigations_are_held() {
    let gate = Gate::new(config(&json!({})));
    let mut fixture = Fixture::new();
    let headers = request("GET", "app.test", "/", &[HTML]);
    let step = gate.begin(&Request::new(&headers), &mut fixture.env());
    let Step::Hold { until } = step else {
        panic!("{step:?}")
    };
    assert!(until > fixture.now && until.since(fixture.now) <= 10);
    assert!(
        gate.due(fixture.now).is_some(),
        "holding a request makes the fetch due"
    );
    let reply = gate.unavailable(&Request::new(&headers));
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("5"))
    );
    let post = request("POST", "app.test", "/", &[]);
    assert_eq!(
        status(&gate.begin(&Request::new(&post), &mut fixture.env())),
        401,
        "nothing else waits"
    );
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
    let route = world.gate.config.routes[0].id.clone().into_bytes();
    assert_eq!(
        forward.edits(),
        [
            Edit::Remove("x-pomerium-claim-email".to_owned()),
            Edit::Remove("x_pomerium_jwt_assertion".to_owned()),
            Edit::Remove("x-jetway-route".to_owned()),
            Edit::Set(":path", b"/y?q".to_vec()),
            Edit::Set("cookie", b"a=\xff; cockpit=\"x\"".to_vec()),
            Edit::Set(ROUTE_HEADER, route),
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
    assert_eq!(
        code(
            "app.test",
            &app,
            &[upgrade, ("origin", b"https://app.test")]
        ),
        200
    );
    assert_eq!(code("app.test", &app, &[upgrade]), 200, "not a browser");
    for origin in [
        "https://app.test.evil",
        "http://app.test",
        "https://app.test:444",
        "null",
    ] {
        assert_eq!(
            code("app.test", &app, &[upgrade, ("origin", origin.as_bytes())]),
            403,
            "{origin}"
        );
    }
    assert_eq!(code("app.test", &app, &[("upgrade", b"h2c")]), 403);
    assert_eq!(
        code("b.test", &b, &[upgrade, ("origin", b"https://b.test")]),
        403,
        "allow_websockets is off"
    );
}

#[test]
fn signing_out_takes_a_form_of_this_site() {
    let mut world = World::new();
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    let cookie = jar.header();
    let mut post = |extra: &[(&str, &[u8])]| {
        let mut all = vec![HTML, ("cookie", cookie.as_bytes())];
        all.extend_from_slice(extra);
        world.reply(&request("POST", "app.test", "/.pomerium/sign_out", &all))
    };
    assert_eq!(post(&[]).status, 403);
    assert_eq!(post(&[("origin", b"https://evil.test")]).status, 403);
    assert_eq!(
        post(&[("origin", b"null"), ("sec-fetch-site", b"cross-site")]).status,
        403
    );
    assert!(
        post(&[
            ("origin", b"https://evil.test"),
            ("sec-fetch-site", b"same-origin")
        ])
        .status
            == 403
    );
    let reply = post(&[("origin", b"https://app.test")]);
    assert_eq!(reply.status, 303);
    assert!(
        reply
            .header("location")
            .unwrap()
            .starts_with("https://op.test/logout?client_id=rp&")
    );
    let mut jar = jar;
    jar.take(&reply);
    assert!(jar.0.is_empty());
    let page = world.reply(&request(
        "GET",
        "app.test",
        "/.pomerium/sign_out",
        &[HTML, ("cookie", cookie.as_bytes())],
    ));
    assert!(
        page.status == 200 && page.header("set-cookie").is_none(),
        "a link only asks"
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

#[test]
fn without_randomness_nobody_signs_in() {
    let mut world = World::new();
    let mut broken = |_: &mut [u8]| Err(crate::env::NoRandomness);
    let headers = request("GET", "app.test", "/", &[HTML]);
    let mut env = Env {
        now: world.fixture.now,
        random: &mut broken,
    };
    assert_eq!(
        status(&world.gate.begin(&Request::new(&headers), &mut env)),
        500
    );
    assert_eq!(world.reply(&headers).status, 303);
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Whatever is sent: no panic, and nothing of a route that asks who it is gets through without a session.
    #[test]
    fn no_input_without_a_session_is_forwarded(pairs in any_headers(), host in "app|b") {
        let mut headers = request("GET", &format!("{host}.test"), "/closed", &[]);
        headers.retain(|(name, _)| !pairs.iter().any(|(other, _)| other == name));
        headers.extend(pairs);
        let gate = Gate::new(config(&json!({})));
        if let Step::Forward(forward) = gate.begin(&Request::new(&headers), &mut Fixture::new().env()) {
            let public = gate.config.routes[1].id.clone().into_bytes();
            prop_assert_eq!(forward.edits().last(), Some(&Edit::Set(ROUTE_HEADER, public)));
        }
    }
}
