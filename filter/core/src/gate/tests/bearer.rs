//! API clients that send the provider's tokens.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::provider_logout::send_claims;
use super::world::{HTML, Jar, World, ok, request, status};
use crate::gate::*;
use crate::testing::{CLIENT, FakeProvider, ISSUER};

const API: &str = "https://api.test";

fn world(format: &str) -> World {
    World::with(&json!({
        "bearer_token_format": format,
        "idp_access_token_allowed_audiences": [API],
    }))
}

fn claims(world: &World, changes: &Value) -> Value {
    let now = world.fixture.now.0;
    // API clients use a token for longer than a sign-in does.
    let mut claims = json!({
        "iss": ISSUER, "sub": "s1", "aud": CLIENT, "exp": now + 3600, "iat": now - 1800,
        "email": "alice@corp.test", "email_verified": true,
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn bearer(world: &mut World, token: &str) -> Step {
    let value = format!("Bearer {token}");
    world.begin(&request(
        "POST",
        "app.test",
        "/api",
        &[("authorization", value.as_bytes())],
    ))
}

#[test]
fn id_tokens_stand_for_their_user() {
    let mut world = world("idp_identity_token");
    for (changes, expected) in [
        (json!({}), 200),
        (json!({"aud": [CLIENT]}), 200),
        // Several audiences are treated as at a sign-in: `azp` says for which client the token is.
        (json!({"aud": ["x", CLIENT]}), 401),
        (json!({"aud": ["x", CLIENT], "azp": "x"}), 401),
        (json!({"aud": ["x", CLIENT], "azp": CLIENT}), 200),
        (json!({"aud": CLIENT, "azp": "x"}), 200),
        (json!({"email": "mallory@corp.test"}), 403),
        (json!({"aud": API}), 401),
        (json!({"aud": null}), 401),
        (json!({"iss": "https://evil.test"}), 401),
        (json!({"exp": 1}), 401),
        (json!({"exp": null}), 401),
        (json!({"nbf": 9_999_999_999_u64}), 401),
        (json!({"sub": ""}), 401),
        // An access token is no ID token (J-55).
        (json!({"scope": "openid"}), 401),
        (json!({"client_id": CLIENT}), 401),
    ] {
        let token = world.fake.sign(&claims(&world, &changes));
        let step = bearer(&mut world, &token);
        assert_eq!(status(&step), expected, "{changes}");
        if let Step::Reply(reply) = step
            && expected == 401
        {
            let challenge = reply.header("www-authenticate");
            assert_eq!(challenge, Some(r#"Bearer error="invalid_token""#));
            assert_eq!(reply.header("location"), None);
        }
    }
    let foreign = FakeProvider::with_key(9, "k1");
    let forged = foreign.sign(&claims(&world, &json!({})));
    assert_eq!(status(&bearer(&mut world, &forged)), 401);
    for junk in ["", "x", "a.b.c", "\u{e9}", &"x".repeat(50_000)] {
        let answer = status(&bearer(&mut world, junk));
        assert_eq!(answer, 401, "{} bytes", junk.len());
    }
}

#[test]
fn access_tokens_are_for_named_audiences() {
    let mut world = world("idp_access_token");
    for (changes, expected) in [
        (json!({"aud": API, "client_id": "cli"}), 200),
        (json!({"aud": [API, "x"], "scope": "a"}), 200),
        (json!({"aud": CLIENT, "scope": "a"}), 401),
        (json!({"aud": "https://other.test", "scope": "a"}), 401),
        // An ID token is no access token, whatever its audience.
        (json!({"aud": API}), 401),
        (json!({"aud": API, "scope": "a", "nonce": "n"}), 401),
    ] {
        let token = world.fake.sign(&claims(&world, &changes));
        assert_eq!(status(&bearer(&mut world, &token)), expected, "{changes}");
    }
}

#[test]
fn a_token_is_good_until_its_end_and_on_routes_that_take_it() {
    let mut world = world("idp_identity_token");
    let token = world.fake.sign(&claims(&world, &json!({})));
    assert_eq!(status(&bearer(&mut world, &token)), 200);
    let begun = world.fixture.now;
    world.fixture.now = begun.plus(3600 + crate::limits::LEEWAY);
    assert_eq!(status(&bearer(&mut world, &token)), 401);

    let mut plain = World::new();
    let token = plain.fake.sign(&claims(&plain, &json!({})));
    let step = bearer(&mut plain, &token);
    assert!(
        matches!(&step, Step::Reply(reply) if reply.status == 401 && reply.header("www-authenticate").is_none_or(|challenge| !challenge.contains("invalid_token"))),
        "there it is the upstream's business: {step:?}"
    );
}

/// D-09: any client can name unknown keys.
#[test]
fn unknown_keys_are_looked_for_once_a_minute() {
    let mut world = world("idp_identity_token");
    world.fixture.now = world.fixture.now.plus(120);
    let rotated = FakeProvider::with_key(3, "k2");
    let token = rotated.sign(&claims(&world, &json!({})));
    let Step::Call(call, waiting) = bearer(&mut world, &token) else {
        panic!("the keys are fetched")
    };
    assert_eq!(call.path, "/jwks");
    let other = FakeProvider::with_key(4, "k3").sign(&claims(&world, &json!({})));
    assert_eq!(status(&bearer(&mut world, &other)), 401, "meanwhile");
    let value = format!("Bearer {token}");
    world.last = request(
        "POST",
        "app.test",
        "/api",
        &[("authorization", value.as_bytes())],
    );
    let step = world.resume(waiting, &ok(&rotated.jwks()));
    assert_eq!(status(&step), 200);
    for _ in 0..10 {
        assert_eq!(status(&bearer(&mut world, &other)), 401);
    }
}

/// Returns a gate's step for a token that comes from a client's address.
fn from(world: &mut World, gate: &Gate, client: &str, token: &str) -> Step {
    let value = format!("Bearer {token}");
    let headers = request(
        "POST",
        "app.test",
        "/api",
        &[("authorization", value.as_bytes())],
    );
    let request = Request::new(&headers).from(client.parse().ok());
    gate.begin(&request, &mut world.fixture.env())
}

/// N-02: a revocation covers every token that was used or issued before it, or comes from an earlier sign-in: in workers that
/// remembered the token, in others, and when no worker remembers it any more.
#[test]
fn n_02_a_logout_covers_tokens_from_before_it() {
    const FORMAT: &str = "idp_identity_token";
    let by_subject = json!({"sub": "s1", "sid": null});
    let by_session = json!({"sub": "s1", "sid": "the-sid"});
    for (token, logout) in [
        (json!({}), &by_subject),
        (json!({}), &by_session),
        (json!({"sid": "the-sid"}), &by_session),
        // The provider's clock is ahead.
        (json!({"ahead": 45}), &by_subject),
        (json!({"sid": "the-sid", "ahead": 45}), &by_session),
    ] {
        let mut world = world(FORMAT);
        let changes = json!({"bearer_token_format": FORMAT});
        let other = world.other_worker(&changes);
        let mut token = token.clone();
        if let Some(ahead) = token.as_object_mut().unwrap().remove("ahead") {
            token["iat"] = json!(world.fixture.now.0 + ahead.as_u64().unwrap());
        }
        let token = world.fake.sign(&claims(&world, &token));
        assert_eq!(status(&bearer(&mut world, &token)), 200);
        world.later(10);
        assert_eq!(status(&send_claims(&mut world, logout)), 200);
        for seconds in [0, 1, 61, 1800] {
            world.later(seconds);
            assert_eq!(status(&bearer(&mut world, &token)), 401, "{seconds}");
            let elsewhere = from(&mut world, &other, "192.0.2.1", &token);
            assert_eq!(status(&elsewhere), 401, "{seconds}, another worker");
        }
    }
}

/// N-02: a token that was accepted before a revocation is never accepted after it, whatever it says about its age.
#[test]
fn n_02_nothing_from_before_a_logout_comes_back() {
    const FORMAT: &str = "idp_identity_token";
    let age = -3000_i64..=60;
    let sign_in = proptest::option::of(-9000_i64..=60);
    let later = proptest::collection::vec((0_u64..2000, any::<bool>()), 1..4);
    let cases = ProptestConfig::with_cases(24);
    proptest!(cases, |(age in age, sign_in in sign_in, wait in 0_u64..100, with_sid in any::<bool>(), later in later)| {
        let mut world = world(FORMAT);
        let other = world.other_worker(&json!({"bearer_token_format": FORMAT}));
        let now = i64::try_from(world.fixture.now.0).unwrap();
        let mut changes = json!({"iat": now + age, "exp": now + 9000});
        if let Some(sign_in) = sign_in {
            changes["auth_time"] = json!(now + sign_in);
        }
        let mut logout = json!({"sub": "s1", "sid": null});
        if with_sid {
            changes["sid"] = json!("the-sid");
            logout["sid"] = json!("the-sid");
        }
        let token = world.fake.sign(&claims(&world, &changes));
        prop_assert_eq!(status(&bearer(&mut world, &token)), 200);
        world.later(wait);
        prop_assert_eq!(status(&send_claims(&mut world, &logout)), 200);
        for (seconds, elsewhere) in later {
            world.later(seconds);
            let step = if elsewhere {
                from(&mut world, &other, "192.0.2.1", &token)
            } else {
                bearer(&mut world, &token)
            };
            prop_assert_eq!(status(&step), 401);
        }
    });
}

/// N-02: tokens that are issued after a revocation are accepted, unless they come from an earlier sign-in.
#[test]
fn n_02_a_logout_leaves_later_sign_ins_alone() {
    let mut world = world("idp_identity_token");
    let logout = json!({"sub": "s1", "sid": null});
    assert_eq!(status(&send_claims(&mut world, &logout)), 200);
    let ended = world.fixture.now.0;
    world.later(30);
    for (changes, expected) in [
        (json!({"iat": ended}), 401),
        (json!({"iat": ended + 1}), 200),
        (json!({"iat": ended + 1, "auth_time": ended + 1}), 200),
        (json!({"iat": ended + 20, "auth_time": ended}), 401),
        (json!({"iat": ended + 20, "auth_time": 0}), 200),
        (json!({"iat": null, "auth_time": ended + 1}), 200),
        (json!({"iat": null}), 401),
        (json!({"iat": ended + 21, "sub": "s2"}), 200),
    ] {
        let token = world.fake.sign(&claims(&world, &changes));
        assert_eq!(status(&bearer(&mut world, &token)), expected, "{changes}");
    }
    // Revocations are kept for longer than any token is valid.
    let year = json!({"iat": ended + 1, "exp": ended + 365 * 24 * 3600});
    let token = world.fake.sign(&claims(&world, &year));
    world.later(30 * 24 * 3600);
    world.learn();
    assert_eq!(status(&bearer(&mut world, &token)), 401);
}

/// N-11: forgeries of one address cost a bounded time, and affect neither other addresses nor known tokens.
#[test]
fn n_11_forgeries_are_limited_for_each_address() {
    let mut world = world("idp_identity_token");
    let gate = world.other_worker(&json!({"bearer_token_format": "idp_identity_token"}));
    let forger = FakeProvider::with_key(9, "k1");
    let forge = |world: &World, number: usize| {
        forger.sign(&claims(world, &json!({"jti": number.to_string()})))
    };
    let known = world.fake.sign(&claims(&world, &json!({})));
    let unknown = world.fake.sign(&claims(&world, &json!({"jti": "good"})));
    let attacker = "2001:db8::1";
    assert_eq!(status(&from(&mut world, &gate, attacker, &known)), 200);
    let first = forge(&world, 0);
    for _ in 0..100 {
        // The same token again is neither verified nor counted.
        let step = from(&mut world, &gate, attacker, &first);
        let Step::Reply(reply) = step else { panic!() };
        assert_eq!(reply.status, 401);
        assert!(reply.event.contains("token-signature"), "{}", reply.event);
    }
    for number in 1..30 {
        let forged = forge(&world, number);
        assert_eq!(status(&from(&mut world, &gate, attacker, &forged)), 401);
    }
    let forged = forge(&world, 30);
    for (client, token) in [("2001:db8::2", &forged), (attacker, &unknown)] {
        let Step::Reply(reply) = from(&mut world, &gate, client, token) else {
            panic!("{client}")
        };
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (429, Some("60"))
        );
    }
    assert_eq!(status(&from(&mut world, &gate, attacker, &known)), 200);
    assert_eq!(status(&from(&mut world, &gate, attacker, &first)), 401);
    assert_eq!(status(&from(&mut world, &gate, "192.0.2.1", &unknown)), 200);
    world.later(60);
    let late = world.fake.sign(&claims(&world, &json!({"jti": "late"})));
    assert_eq!(status(&from(&mut world, &gate, attacker, &late)), 200);
}

/// N-11: a token that was valid a minute ago is verified again, whatever else came from its address.
#[test]
fn n_11_forgeries_keep_no_known_token_out() {
    let format = json!({"bearer_token_format": "idp_identity_token"});
    let mut world = world("idp_identity_token");
    let gate = world.other_worker(&format);
    let known = world.fake.sign(&claims(&world, &json!({})));
    let unknown = world.fake.sign(&claims(&world, &json!({"jti": "good"})));
    let client = "192.0.2.1";
    assert_eq!(status(&from(&mut world, &gate, client, &known)), 200);
    world.later(30);
    let forger = FakeProvider::with_key(9, "k1");
    for number in 0..30 {
        let forged = forger.sign(&claims(&world, &json!({"jti": number.to_string()})));
        assert_eq!(status(&from(&mut world, &gate, client, &forged)), 401);
    }
    world.later(31);
    assert_eq!(status(&from(&mut world, &gate, client, &unknown)), 429);
    assert_eq!(status(&from(&mut world, &gate, client, &known)), 200);
    // It is verified again: the provider has another key of this id by now.
    world.later(61);
    let rotated = FakeProvider::with_key(2, "k1").jwks();
    gate.absorb_keys(&ok(&rotated), &world.fixture.env());
    assert_eq!(status(&from(&mut world, &gate, client, &known)), 401);
}

/// N-10: a client that names a new key and goes away before it is fetched does not keep it from others.
#[test]
fn n_10_keys_come_without_the_request_that_looked_for_them() {
    for who in ["API client", "provider", "browser"] {
        let mut world = world("idp_identity_token");
        let mut jar = Jar::default();
        let query = world.depart("app.test", "/", &mut jar);
        world.later(60);
        let redeeming = world.callback("app.test", &query["state"], &jar);
        world.fake = FakeProvider::with_key(2, "k2");
        let token = world.fake.sign(&claims(&world, &json!({})));
        let step = match who {
            "API client" => bearer(&mut world, &token),
            "provider" => send_claims(&mut world, &json!({})),
            _ => {
                let Step::Call(_, waiting) = &redeeming else {
                    panic!("{redeeming:?}")
                };
                world.gate.abandon(waiting);
                let due = world.gate.due(&world.fixture.env());
                assert!(matches!(due, ProviderDue::Nothing), "{due:?}");
                let claims = world.claims("alice@corp.test", &query["nonce"]);
                world.answer(redeeming, &claims)
            }
        };
        let Step::Call(call, waiting) = step else {
            panic!("{who}: {step:?}")
        };
        assert_eq!(call.path, "/jwks", "{who}");
        world.gate.abandon(&waiting);
        drop(waiting);
        // No other request may fetch keys now; the timer does.
        world.learn();
        assert_eq!(status(&bearer(&mut world, &token)), 200, "{who}");
    }
}

/// N-11: a forgery is verified again once there are other keys.
#[test]
fn n_11_new_keys_clear_what_was_refused() {
    let mut world = world("idp_identity_token");
    world.later(120);
    let rotated = FakeProvider::with_key(9, "k1");
    let token = rotated.sign(&claims(&world, &json!({})));
    assert_eq!(status(&bearer(&mut world, &token)), 401);
    let jwks = rotated.jwks();
    world.gate.absorb_keys(&ok(&jwks), &world.fixture.env());
    assert_eq!(status(&bearer(&mut world, &token)), 200);
}

/// N-11: any client can leave out the `kid`; a provider with very many keys has to name its own.
#[test]
fn n_11_at_most_eight_keys_are_tried() {
    for (keys, named, expected, reason) in [
        (8, false, 200, ""),
        (9, false, 401, "token-too-many-keys"),
        (64, false, 401, "token-too-many-keys"),
        (64, true, 200, ""),
    ] {
        let mut world = world("idp_identity_token");
        let all: Vec<Value> = (1..=keys)
            .map(|seed| {
                let name: &'static str = Box::leak(format!("k{seed}").into_boxed_str());
                let set = FakeProvider::with_key(seed, name).jwks();
                let set: Value = serde_json::from_str(&set).unwrap();
                set["keys"][0].clone()
            })
            .collect();
        let jwks = json!({ "keys": all }).to_string();
        world.gate.absorb_keys(&ok(&jwks), &world.fixture.env());
        let mut header = json!({"alg": "ES256"});
        if named {
            header["kid"] = json!("k1");
        }
        let payload = claims(&world, &json!({})).to_string();
        let token = world.fake.sign_under(&header, &payload);
        let step = bearer(&mut world, &token);
        assert_eq!(status(&step), expected, "{keys} {named}");
        if let Step::Reply(reply) = step {
            assert!(reply.event.contains(reason), "{}", reply.event);
        }
    }
}

/// The client's address is required only where it matters.
#[test]
fn addresses_are_asked_for_where_they_count() {
    let with_tokens = world("idp_identity_token");
    let without = World::new();
    let bearer = request("GET", "app.test", "/", &[("authorization", b"Bearer x")]);
    let logout = request("POST", "app.test", "/.pomerium/backchannel_logout", &[]);
    let plain = request("GET", "app.test", "/", &[HTML]);
    for (world, headers, expected) in [
        (&with_tokens, &bearer, true),
        (&with_tokens, &logout, true),
        (&with_tokens, &plain, false),
        (&without, &bearer, false),
        (&without, &logout, true),
        (&without, &plain, false),
    ] {
        assert_eq!(
            world.gate.asks_for_address(headers),
            expected,
            "{headers:?}"
        );
    }
}

#[test]
fn access_tokens_without_an_audience_are_an_error() {
    let file = json!({
        "bearer_token_format": "idp_access_token",
        "routes": [{"from": "https://a.test", "to": "http://a", "allow_public_unauthenticated_access": true}],
    });
    let error = Config::read(&file, &|_| None).unwrap_err();
    assert!(error.to_string().contains("allowed_audiences"), "{error}");
}
