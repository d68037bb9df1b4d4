//! Sign-ins, from the first redirect to the session and its end.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::world::{HTML, Jar, World, ok, request, status};
use crate::gate::*;
use crate::limits::{ATTEMPT_KEPT, ATTEMPT_LIFETIME, MAX_ATTEMPTS};
use crate::store::LocalShared;
use crate::testing::{FakeProvider, Fixture, ISSUER, config};

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
    assert_eq!(query["scope"], "openid profile email offline_access");
    assert!(
        query["nonce"].len() >= 22
            && query["state"].len() >= 22
            && query["code_challenge"].len() == 43
    );
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
    // In the victim's own attempt, the nonce reveals the attacker's code.
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
    for (age, expected) in [
        (ATTEMPT_LIFETIME - 1, 0),
        (ATTEMPT_LIFETIME, 303),
        (ATTEMPT_KEPT - 1, 303),
        (ATTEMPT_KEPT, 400),
    ] {
        let begun = world.fixture.now;
        world.fixture.now = begun.plus(age);
        let step = world.callback("app.test", &query["state"], &jar);
        assert_eq!(status(&step), expected, "{age} s");
        world.fixture.now = begun;
    }
    // A user who cancelled gets a page that says so.
    world.fixture.now = world.fixture.now.plus(ATTEMPT_LIFETIME);
    let state = &query["state"];
    let path = format!("/.pomerium/callback?error=access_denied&state={state}&iss={ISSUER}");
    assert_eq!(status(&world.visit("app.test", &path, &jar)), 403);
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
        ("error=%3Cscript%3E".to_owned(), 400),
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
            date: &[],
        };
        assert_eq!(status(&world.resume(waiting, &answer)), expected, "{body}");
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
                let step = world.resume(waiting, &ok(&world.fake.jwks()));
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
        let Step::Reply(reply) = world.resume(waiting, &ok(&info.to_string())) else {
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

/// N-01: Ping has the address in `mail`, in its UserInfo too, which denies or confirms it there.
#[test]
fn n_01_pings_userinfo_is_about_its_mail() {
    let groups = json!({"allow": {"and": [{"email": "alice@corp.test"}, {"groups": "a"}]}});
    let ping = json!({
        "idp_provider": "ping", "idp_provider_url": ISSUER,
        "routes": [{"from": "https://app.test", "to": "http://a", "policy": groups}],
    });
    for (word, expected) in [
        (json!({}), 200),
        (json!({"email_verified": true}), 200),
        (json!({"email_verified": false}), 403),
        (
            json!({"email_verified": false, "mail": "Alice@corp.test"}),
            403,
        ),
    ] {
        let mut world = World::with(&ping);
        let mut jar = Jar::default();
        let query = world.depart("app.test", "/", &mut jar);
        let step = world.callback("app.test", &query["state"], &jar);
        let mut claims = world.claims("alice@corp.test", &query["nonce"]);
        let object = claims.as_object_mut().unwrap();
        object.remove("email_verified");
        let address = object.remove("email").unwrap();
        object.insert("mail".to_owned(), address.clone());
        let mut info = json!({"sub": claims["sub"], "mail": address, "groups": ["a"]});
        for (name, value) in word.as_object().unwrap() {
            info[name] = value.clone();
        }
        let Step::Call(_, waiting) = world.answer(step, &claims) else {
            panic!("UserInfo is asked")
        };
        let Step::Reply(reply) = world.resume(waiting, &ok(&info.to_string())) else {
            panic!("a reply")
        };
        jar.take(&reply);
        let visited = world.visit("app.test", "/", &jar);
        assert_eq!(status(&visited), expected, "{word}");
    }
}

/// N-01: the address of a session counts only under the rules by which it was verified.
#[test]
fn n_01_a_stricter_file_asks_to_sign_in_again() {
    let strict = json!({"require_email_verified": "strict"});
    for (before, after, expected) in [
        (json!({}), json!({}), 200),
        (json!({}), strict.clone(), 303),
        (json!({"require_email_verified": "off"}), json!({}), 303),
        (strict.clone(), strict, 200),
    ] {
        let mut world = World::with(&before);
        let jar = world.sign_in("app.test", "/", "alice@corp.test");
        assert_eq!(status(&world.visit("app.test", "/", &jar)), 200);
        world.gate = world.other_worker(&after);
        let visited = world.visit("app.test", "/", &jar);
        assert_eq!(status(&visited), expected, "{before} {after}");
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
        matches!(gate.due(&fixture.env()), ProviderDue::Call(_)),
        "holding a request makes the fetch due"
    );
    let reply = gate.refuse_without_provider(&Request::new(&headers));
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
fn without_randomness_there_is_no_sign_in() {
    let mut world = World::new();
    let mut broken = |_: &mut [u8]| Err(crate::env::NoRandomness);
    let headers = request("GET", "app.test", "/", &[HTML]);
    let mut env = Env {
        now: world.fixture.now,
        random: &mut broken,
        shared: &LocalShared::default(),
    };
    assert_eq!(
        status(&world.gate.begin(&Request::new(&headers), &mut env)),
        500
    );
    assert_eq!(world.reply(&headers).status, 303);
}

/// A session keeps the claims that the policies used when it began. Under policies that use others it does not count,
/// because a `deny` rule about a claim that it lacks would not match.
#[test]
fn a_session_does_not_answer_for_policies_that_it_was_not_made_for() {
    let route = |policy: Value| json!({"routes": [{"from": "https://app.test", "to": "http://a", "policy": policy}]});
    let anybody = json!({"allow": {"or": [{"authenticated_user": true}]}});
    let banned = json!({"deny": {"or": [{"groups": "contractors"}]}});
    let mut world = World::new();
    world.gate = Gate::new(config(&route(json!([anybody]))));
    world.learn();
    let jar = world.sign_in("app.test", "/", "a@corp.test");
    assert_eq!(status(&world.visit("app.test", "/", &jar)), 200);
    for (policies, expected) in [
        (json!([anybody, banned]), 303),
        (
            json!([anybody, {"deny": {"or": [{"email": "m@corp.test"}]}}]),
            200,
        ),
    ] {
        world.gate = Gate::new(config(&route(policies)));
        world.learn();
        assert_eq!(status(&world.visit("app.test", "/", &jar)), expected);
    }
}
