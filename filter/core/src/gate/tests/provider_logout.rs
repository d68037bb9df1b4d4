//! Sessions that the provider ends: by a logout token, and by a frame in its page.

use serde_json::{Value, json};

use super::world::{HTML, Headers, Jar, World, ok, request, status};
use crate::explain::ExplainedDecision;
use crate::gate::*;
use crate::store::SharedData as _;
use crate::testing::{CLIENT, FakeProvider, ISSUER};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const FORM: (&str, &[u8]) = ("content-type", b"application/x-www-form-urlencoded");

/// Returns a world in which alice is signed in with a session of the provider.
fn signed_in(sid: Option<&str>) -> (World, Jar) {
    let mut world = World::new();
    let more = sid.map_or_else(|| json!({}), |sid| json!({"sid": sid}));
    let jar = world.sign_in_with("app.test", "/", "alice@corp.test", &more);
    world.fixture.now = world.fixture.now.plus(10);
    (world, jar)
}

/// Returns the claims of a valid token, with some of them changed, or removed by `null`.
fn claims(world: &World, changes: &Value) -> Value {
    let now = world.fixture.now.0;
    let mut claims = json!({
        "iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": format!("jti {now}"),
        "sid": "the-sid", "sub": "s-alice@corp.test", "events": {EVENT: {}},
    });
    let object = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => object.remove(name),
            value => object.insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn logout_request(extra: &[(&str, &[u8])]) -> Headers {
    request("POST", "app.test", "/.pomerium/backchannel_logout", extra)
}

fn send(world: &mut World, body: &[u8]) -> Step {
    let headers = logout_request(&[FORM]);
    let step = world.begin(&headers);
    assert!(
        matches!(step, Step::ReadBody { limit } if limit >= 8192),
        "{step:?}"
    );
    let request = Request::new(&headers).body(body);
    world.gate.begin(&request, &mut world.fixture.env())
}

fn send_token(world: &mut World, token: &str) -> Step {
    send(world, format!("logout_token={token}").as_bytes())
}

fn send_from(world: &mut World, client: &str, token: &str) -> Step {
    let headers = logout_request(&[FORM]);
    let body = format!("logout_token={token}");
    let request = Request::new(&headers)
        .body(body.as_bytes())
        .from(client.parse().ok());
    world.gate.begin(&request, &mut world.fixture.env())
}

pub(super) fn send_claims(world: &mut World, changes: &Value) -> Step {
    let token = world.fake.sign(&claims(world, changes));
    send_token(world, &token)
}

/// Sends a token that has to be refused, and asserts that no session has ended.
#[track_caller]
fn refused(changes: &Value) {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let step = send_claims(&mut world, changes);
    assert_refused(&mut world, &jar, step);
    // A valid token after it.
    assert_eq!(status(&send_claims(&mut world, &json!({}))), 200);
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
}

#[track_caller]
fn assert_refused(world: &mut World, jar: &Jar, step: Step) {
    let Step::Reply(reply) = step else {
        panic!("{step:?}")
    };
    assert_eq!((reply.status, reply.header("set-cookie")), (400, None));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(body["error"], "invalid_request");
    assert_eq!(status(&world.visit("app.test", "/", jar)), 200);
}

#[test]
fn rp_backchannel_rpinitlogout() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let Step::Reply(reply) = send_claims(&mut world, &json!({})) else {
        panic!("a reply")
    };
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(!reply.event.contains("the-sid"), "{}", reply.event);
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
}

#[test]
fn by_session_others_of_the_same_user_stay() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let more = json!({"sid": "other"});
    let other = world.sign_in_with("app.test", "/", "alice@corp.test", &more);
    assert_eq!(status(&send_claims(&mut world, &json!({"sub": null}))), 200);
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
    assert_eq!(status(&world.visit("app.test", "/", &other)), 200);
}

#[test]
fn by_user_all_end_and_new_ones_begin() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let without = world.sign_in("app.test", "/", "alice@corp.test");
    let bob = world.sign_in("app.test", "/", "bob@corp.test");
    assert_eq!(status(&send_claims(&mut world, &json!({"sid": null}))), 200);
    for ended in [&jar, &without] {
        assert_eq!(status(&world.visit("app.test", "/", ended)), 303);
    }
    assert_eq!(status(&world.visit("app.test", "/", &bob)), 200);
    world.fixture.now = world.fixture.now.plus(1);
    let anew = world.sign_in("app.test", "/", "alice@corp.test");
    assert_eq!(status(&world.visit("app.test", "/", &anew)), 200);
}

/// A provider may name a session that no ID token has named: it is a session of the same user.
#[test]
fn a_session_without_an_id_ends_with_any_of_the_user() {
    let (mut world, jar) = signed_in(None);
    assert_eq!(status(&send_claims(&mut world, &json!({}))), 200);
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
}

/// The provider ends its session after its own sign-in page and before the callback.
#[test]
fn a_session_does_not_begin_out_of_one_that_ended_meanwhile() {
    let mut world = World::new();
    let mut jar = Jar::default();
    let query = world.depart("app.test", "/x", &mut jar);
    let waiting = world.callback("app.test", &query["state"], &jar);
    world.fixture.now = world.fixture.now.plus(5);
    assert_eq!(status(&send_claims(&mut world, &json!({}))), 200);
    world.fixture.now = world.fixture.now.plus(5);
    let mut claims = world.claims("alice@corp.test", &query["nonce"]);
    claims["sid"] = json!("the-sid");
    let Step::Reply(reply) = world.answer(waiting, &claims) else {
        panic!("a reply")
    };
    assert_eq!((reply.status, reply.header("location")), (303, Some("/x")));
    jar.take(&reply);
    assert!(jar.0.is_empty(), "no session, and the attempt is over");
    let jar = world.sign_in_with("app.test", "/x", "alice@corp.test", &json!({"sid": "next"}));
    assert_eq!(status(&world.visit("app.test", "/x", &jar)), 200);
}

#[test]
fn l_01_rp_backchannel_rpinitlogout_alg_none() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let payload = claims(&world, &json!({})).to_string();
    let signed = world.fake.sign_under(&json!({"alg": "none"}), &payload);
    let unsigned = signed.rsplit_once('.').unwrap().0.to_owned() + ".";
    for token in [signed, unsigned] {
        let step = send_token(&mut world, &token);
        assert_refused(&mut world, &jar, step);
    }
}

#[test]
fn rp_backchannel_rpinitlogout_wrong_alg() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let payload = claims(&world, &json!({})).to_string();
    for alg in ["HS256", "RS256", "ES384", "es256"] {
        let header = json!({"alg": alg, "kid": "k1"});
        let token = world.fake.sign_under(&header, &payload);
        let step = match send_token(&mut world, &token) {
            Step::Call(_, waiting) => world.resume(waiting, &ok(&FakeProvider::new().jwks())),
            other => other,
        };
        assert_refused(&mut world, &jar, step);
    }
    let forged = FakeProvider::with_key(9, "k1").sign_text(&payload);
    let step = send_token(&mut world, &forged);
    assert_refused(&mut world, &jar, step);
}

#[test]
fn rp_backchannel_rpinitlogout_wrong_iss() {
    refused(&json!({"iss": "https://other.test"}));
    refused(&json!({"iss": null}));
    refused(&json!({"iss": [ISSUER]}));
}

#[test]
fn rp_backchannel_rpinitlogout_wrong_aud() {
    refused(&json!({"aud": "other"}));
    refused(&json!({"aud": ["other"]}));
    refused(&json!({"aud": [CLIENT, 1]}));
    refused(&json!({"aud": null}));
    refused(&json!({"aud": {CLIENT: 1}}));
}

#[test]
fn l_04_rp_backchannel_rpinitlogout_no_event_and_wrong_event() {
    refused(&json!({"events": null}));
    refused(&json!({"events": {}}));
    refused(&json!({"events": [EVENT]}));
    refused(&json!({"events": EVENT}));
    refused(&json!({"events": {EVENT: true}}));
    refused(&json!({"events": {EVENT: []}}));
    refused(&json!({"events": {"http://schemas.openid.net/event/other": {}}}));
}

#[test]
fn l_05_rp_backchannel_rpinitlogout_with_nonce() {
    refused(&json!({"nonce": "n"}));
    refused(&json!({"nonce": ""}));
}

#[test]
fn l_06_nobody_is_named() {
    refused(&json!({"sid": null, "sub": null}));
    refused(&json!({"sid": "", "sub": null}));
    refused(&json!({"sid": 1}));
    refused(&json!({"sub": ["s-alice@corp.test"]}));
    refused(&json!({"sid": "x".repeat(256)}));
}

#[test]
fn l_07_a_token_counts_once_and_has_a_name() {
    refused(&json!({"jti": null}));
    refused(&json!({"jti": ""}));
    refused(&json!({"jti": 7}));
    let (mut world, _) = signed_in(Some("the-sid"));
    let token = world.fake.sign(&claims(&world, &json!({"sid": null})));
    assert_eq!(status(&send_token(&mut world, &token)), 200);
    world.fixture.now = world.fixture.now.plus(1);
    let jar = world.sign_in("app.test", "/", "alice@corp.test");
    // The token is remembered until it would be too old anyway.
    for seconds in [0, 60, 299] {
        let begun = world.fixture.now;
        world.fixture.now = begun.plus(seconds);
        let step = send_token(&mut world, &token);
        assert_refused(&mut world, &jar, step);
        world.fixture.now = begun;
    }
}

#[test]
fn l_08_times() {
    let now = World::new().fixture.now.0 + 10;
    refused(&json!({"iat": now - 24 * 3600}));
    refused(&json!({"iat": now - 361}));
    refused(&json!({"iat": now + 61}));
    refused(&json!({"iat": null}));
    refused(&json!({"iat": now.to_string()}));
    refused(&json!({"exp": now - 60}));
    refused(&json!({"exp": "later"}));
    for accepted in [
        json!({"exp": null}),
        json!({"iat": now - 360, "exp": null}),
        json!({"iat": now + 60}),
        json!({"exp": now - 59}),
    ] {
        let (mut world, jar) = signed_in(Some("the-sid"));
        assert_eq!(
            status(&send_claims(&mut world, &accepted)),
            200,
            "{accepted}"
        );
        assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
    }
}

#[test]
fn l_09_types() {
    for (typ, accepted) in [
        (json!("JWT"), true),
        (json!("logout+jwt"), true),
        (json!("Logout+JWT"), true),
        (json!("application/logout+jwt"), true),
        (Value::Null, true),
        (json!("at+jwt"), false),
        (json!("dpop+jwt"), false),
        (json!("secevent+jwt"), false),
        (json!(""), false),
        (json!(7), false),
    ] {
        let (mut world, jar) = signed_in(Some("the-sid"));
        let mut header = json!({"alg": "ES256", "kid": "k1", "typ": typ});
        if typ.is_null() {
            header.as_object_mut().unwrap().remove("typ");
        }
        let payload = claims(&world, &json!({})).to_string();
        let token = world.fake.sign_under(&header, &payload);
        let step = send_token(&mut world, &token);
        if accepted {
            assert_eq!(status(&step), 200, "{typ}");
            assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
        } else {
            assert_refused(&mut world, &jar, step);
        }
    }
}

/// An ID token of the same provider for the same client is no logout token.
#[test]
fn an_id_token_ends_nothing() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let token = world.fake.sign(&world.claims("alice@corp.test", "n"));
    let step = send_token(&mut world, &token);
    assert_refused(&mut world, &jar, step);
}

/// L-14: a form of another site with the browser's cookies and a forged token.
#[test]
fn l_14_a_browser_gets_nothing() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let cookie = jar.header();
    let headers = logout_request(&[
        HTML,
        FORM,
        ("origin", b"https://evil.test"),
        ("sec-fetch-site", b"cross-site"),
        ("cookie", cookie.as_bytes()),
    ]);
    let payload = claims(&world, &json!({})).to_string();
    let forged = FakeProvider::with_key(9, "k1").sign_text(&payload);
    let body = format!("logout_token={forged}");
    let request = Request::new(&headers).body(body.as_bytes());
    let step = world.gate.begin(&request, &mut world.fixture.env());
    assert_refused(&mut world, &jar, step);
}

#[test]
fn forms_that_are_none() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let good = world.fake.sign(&claims(&world, &json!({})));
    for body in [
        Vec::new(),
        b"x".to_vec(),
        b"logout_token=".to_vec(),
        b"logout_token=a.b.c".to_vec(),
        b"logout_token=%ff%fe.\xff.\0".to_vec(),
        format!("logout_token={good}&logout_token={good}").into_bytes(),
        vec![b'a'; 17 * 1024],
    ] {
        let step = send(&mut world, &body);
        assert_refused(&mut world, &jar, step);
    }
    let json: (&str, &[u8]) = ("content-type", b"application/json");
    for extra in [&[][..], &[json], &[FORM, FORM]] {
        let step = world.begin(&logout_request(extra));
        assert_refused(&mut world, &jar, step);
    }
    let get = request("GET", "app.test", "/.pomerium/backchannel_logout", &[]);
    assert_eq!(world.reply(&get).status, 405);
}

/// D-16: ten thousand unsigned requests cost no verification, fetch nothing and are refused.
#[test]
fn d_16_a_flood_is_refused_cheaply() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let payload = claims(&world, &json!({})).to_string();
    let unsigned = world.fake.sign_under(&json!({"alg": "none"}), &payload);
    for _ in 0..10_000 {
        assert_eq!(status(&send_token(&mut world, &unsigned)), 400);
    }
    // A repeated forgery costs no verification either.
    let forged = FakeProvider::with_key(9, "k1").sign_text(&payload);
    for _ in 0..10_000 {
        assert_eq!(status(&send_token(&mut world, &forged)), 400);
    }
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 200);
}

/// N-10: however many forgeries arrive, even from the provider's own address, a token that a known key has signed is
/// accepted.
#[test]
fn n_10_forgeries_keep_no_good_token_out() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let forger = FakeProvider::with_key(9, "k1");
    for number in 0..400 {
        let changes = json!({"jti": format!("forged {number}")});
        let forged = forger.sign(&claims(&world, &changes));
        assert_eq!(status(&send_token(&mut world, &forged)), 400, "{number}");
    }
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 200);
    assert_eq!(status(&send_claims(&mut world, &json!({}))), 200);
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
}

/// Returns a token that does not name its key, about a session that does not exist.
fn unnamed(world: &World, signer: &FakeProvider, id: &str) -> String {
    let changes = json!({"jti": id, "sid": "x", "sub": null});
    let payload = claims(world, &changes).to_string();
    signer.sign_under(&json!({"alg": "ES256"}), &payload)
}

/// N-10: a limited number of forgeries of one address is tried with all keys that may be meant. Beyond that a token is tried
/// only with the key that it names, so that a valid token is always accepted.
#[test]
fn n_10_forgeries_are_limited_for_each_address() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let keys = [&world.fake, &FakeProvider::with_key(2, "k2")].map(|provider| {
        let set: Value = serde_json::from_str(&provider.jwks()).unwrap();
        set["keys"][0].clone()
    });
    let jwks = json!({ "keys": keys }).to_string();
    world.gate.absorb_keys(&ok(&jwks), &world.fixture.env());
    let forger = FakeProvider::with_key(9, "k1");
    let attacker = "2001:db8::1";
    let good = unnamed(&world, &world.fake, "good");
    assert_eq!(status(&send_from(&mut world, attacker, &good)), 200);
    let first = unnamed(&world, &forger, "forged 0");
    for _ in 0..100 {
        // The same token again is neither verified nor counted.
        assert_eq!(status(&send_from(&mut world, attacker, &first)), 400);
    }
    let mut last = first;
    for number in 1..30 {
        last = unnamed(&world, &forger, &format!("forged {number}"));
        assert_eq!(status(&send_from(&mut world, attacker, &last)), 400);
    }
    // A token that would cost several verifications is not verified, even if it is valid.
    let forged = unnamed(&world, &forger, "forged 30");
    let unproven = unnamed(&world, &world.fake, "unproven");
    for (client, token) in [("2001:db8::2", &forged), (attacker, &unproven)] {
        let Step::Reply(reply) = send_from(&mut world, client, token) else {
            panic!("{client}")
        };
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (429, Some("60"))
        );
        assert!(reply.event.contains("does not fit"), "{}", reply.event);
    }
    assert_eq!(status(&send_from(&mut world, attacker, &last)), 400);
    let named = forger.sign(&claims(&world, &json!({"jti": "forged 31"})));
    assert_eq!(status(&send_from(&mut world, attacker, &named)), 400);
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 200);
    let named = world.fake.sign(&claims(&world, &json!({"jti": "named"})));
    assert_eq!(status(&send_from(&mut world, attacker, &named)), 200);
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
    assert_eq!(status(&send_from(&mut world, "192.0.2.1", &unproven)), 200);
    world.fixture.now = world.fixture.now.plus(60);
    let late = unnamed(&world, &world.fake, "late");
    assert_eq!(status(&send_from(&mut world, attacker, &late)), 200);
}

/// N-10: where the provider has one key, a token that does not name it costs no more than one that does.
#[test]
fn n_10_an_only_key_need_not_be_named() {
    let (mut world, _) = signed_in(None);
    let forger = FakeProvider::with_key(9, "k1");
    for number in 0..40 {
        let forged = unnamed(&world, &forger, &format!("forged {number}"));
        assert_eq!(status(&send_token(&mut world, &forged)), 400);
    }
    let good = unnamed(&world, &world.fake, "good");
    assert_eq!(status(&send_token(&mut world, &good)), 200);
}

/// N-10: the forgeries of one client do not use up the key fetches of other clients.
#[test]
fn n_10_fetches_are_limited_for_each_client() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let mut forge = {
        let forger = FakeProvider::with_key(9, "unknown");
        let mut number = 0;
        move |world: &World| {
            number += 1;
            forger.sign(&claims(world, &json!({"jti": format!("forged {number}")})))
        }
    };
    let jwks = world.fake.jwks();
    for client in ["2001:db8::1", "2001:db8::2"] {
        world.fixture.now = world.fixture.now.plus(60);
        let forged = forge(&world);
        let Step::Call(_, waiting) = send_from(&mut world, client, &forged) else {
            panic!("the keys are fetched")
        };
        assert_eq!(status(&world.resume(waiting, &ok(&jwks))), 400);
    }
    // Both addresses are in one network, which has used up its fetches.
    world.fixture.now = world.fixture.now.plus(60);
    let forged = forge(&world);
    let Step::Reply(reply) = send_from(&mut world, "2001:db8::3", &forged) else {
        panic!("no third fetch")
    };
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (429, Some("480"))
    );
    assert!(reply.event.contains("unknown keys"), "{}", reply.event);
    // The provider's new key is found for another client in the same second, and its known key for this one.
    let known = world
        .fake
        .sign(&claims(&world, &json!({"sid": "x", "sub": null})));
    assert_eq!(status(&send_from(&mut world, "2001:db8::3", &known)), 200);
    world.fake = FakeProvider::with_key(2, "k2");
    let token = world.fake.sign(&claims(&world, &json!({"jti": "new key"})));
    let Step::Call(_, waiting) = send_from(&mut world, "192.0.2.1", &token) else {
        panic!("the keys are fetched")
    };
    let jwks = world.fake.jwks();
    assert_eq!(status(&world.resume(waiting, &ok(&jwks))), 200);
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
}

#[test]
fn new_keys_are_fetched_at_most_once_a_minute() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    world.fixture.now = world.fixture.now.plus(60);
    world.fake = FakeProvider::with_key(2, "k2");
    let Step::Call(call, waiting) = send_claims(&mut world, &json!({})) else {
        panic!("the keys are fetched")
    };
    assert_eq!(call.path, "/jwks");
    let jwks = world.fake.jwks();
    let step = world.resume(waiting, &ok(&jwks));
    assert_eq!(status(&step), 200);
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
    world.fake = FakeProvider::with_key(3, "k3");
    let step = send_claims(&mut world, &json!({"jti": "another"}));
    assert_eq!(status(&step), 400, "no second fetch");
}

/// The provider's request may be the first one of a worker that does not know the provider yet.
#[test]
fn a_worker_that_knows_no_keys_waits_for_them() {
    let (mut world, _) = signed_in(None);
    world.gate = Gate::new(crate::testing::config(&json!({})));
    let headers = logout_request(&[FORM]);
    assert!(matches!(world.begin(&headers), Step::Hold { .. }));
    let gone = world
        .gate
        .begin_without(&Request::new(&headers), &mut world.fixture.env());
    assert_eq!(status(&gone), 503);
    world.learn();
    assert_eq!(status(&send_claims(&mut world, &json!({}))), 200);
}

fn frame(world: &mut World, query: &str, extra: &[(&str, &[u8])]) -> Reply {
    let path = format!("/.pomerium/frontchannel_logout{query}");
    let mut all = vec![
        HTML,
        ("sec-fetch-dest", &b"iframe"[..]),
        ("sec-fetch-site", b"cross-site"),
    ];
    all.extend_from_slice(extra);
    world.reply(&request("GET", "app.test", &path, &all))
}

/// The browser sends no cookie into the frame.
#[test]
fn rp_frontchannel_opinitlogout() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let reply = frame(&mut world, "?iss=https%3A%2F%2Fop.test&sid=the-sid", &[]);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(
        reply.header("content-security-policy"),
        Some("default-src 'none'; frame-ancestors https://op.test")
    );
    assert!(reply.header("x-frame-options").is_none());
    assert!(!reply.event.contains("the-sid"));
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
}

#[test]
fn frames_that_end_nothing() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    let cookie = jar.header();
    let with_cookie = [("cookie", cookie.as_bytes())];
    for (query, expected) in [
        ("", 400),
        ("?iss=https%3A%2F%2Fop.test", 400),
        ("?sid=the-sid", 400),
        ("?iss=https%3A%2F%2Fother.test&sid=the-sid", 400),
        ("?iss=https%3A%2F%2Fop.test&sid=", 400),
        ("?iss=https%3A%2F%2Fop.test&sid=the-sid&sid=the-sid", 400),
        ("?iss=https%3A%2F%2Fop.test&sid=other", 200),
    ] {
        for extra in [&[][..], &with_cookie] {
            let reply = frame(&mut world, query, extra);
            assert_eq!(reply.status, expected, "{query}");
            let is_refused = reply.decision == ExplainedDecision::Deny;
            assert_eq!(is_refused, expected == 400, "{query}");
            assert!(reply.header("set-cookie").is_none());
            assert_eq!(status(&world.visit("app.test", "/", &jar)), 200, "{query}");
        }
    }
    // Ids that no user has signed in with are not stored.
    assert!(world.fixture.shared.read("jetway revocations").is_none());
}

/// After a restart of the process, the browser's own cookie names the session.
#[test]
fn a_frame_of_the_same_site_brings_the_cookie() {
    let (mut world, jar) = signed_in(Some("the-sid"));
    world.fixture.shared = crate::store::LocalShared::default();
    let query = "?iss=https%3A%2F%2Fop.test&sid=the-sid";
    frame(&mut world, query, &[]);
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 200);
    let cookie = jar.header();
    let reply = frame(&mut world, query, &[("cookie", cookie.as_bytes())]);
    let mut browser = jar.clone();
    browser.take(&reply);
    assert!(browser.0.is_empty());
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 303);
}

#[test]
fn the_description_names_both_addresses() {
    let mut world = World::new();
    let reply = world.reply(&request("GET", "app.test", "/.well-known/pomerium", &[]));
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(
        body["backchannel_logout_uri"],
        "https://app.test/.pomerium/backchannel_logout"
    );
    assert_eq!(
        body["frontchannel_logout_uri"],
        "https://app.test/.pomerium/frontchannel_logout"
    );
}
