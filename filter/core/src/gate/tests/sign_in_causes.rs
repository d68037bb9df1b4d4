//! The log says why a sign-in has failed, by values that are not secret, and the page says little.

use serde_json::{Value, json};

use super::world::{Jar, World, ok, status};
use crate::gate::step::Step;
use crate::http::reply::Reply;
use crate::oidc::call::ProviderReply;
use crate::testing::ISSUER;

/// Returns the reply to a callback with these parameters.
fn come_back(parameters: &str) -> Reply {
    let mut world = World::new();
    let mut jar = Jar::default();
    let query = world.depart("app.test", "/", &mut jar);
    let state = &query["state"];
    let path = format!("/.pomerium/callback?{parameters}&state={state}&iss={ISSUER}");
    let Step::Reply(reply) = world.visit("app.test", &path, &jar) else {
        panic!("{parameters}: a reply")
    };
    reply
}

/// Returns the reply to a sign-in whose code the provider answers by `answer`, which gets the nonce.
fn redeem(answer: &dyn Fn(&World, &str) -> (u16, String)) -> Reply {
    let mut world = World::new();
    let mut jar = Jar::default();
    let query = world.depart("app.test", "/", &mut jar);
    let Step::Call(_, waiting) = world.callback("app.test", &query["state"], &jar) else {
        panic!("the code is redeemed")
    };
    let (status, body) = answer(&world, &query["nonce"]);
    let reply = ProviderReply {
        status,
        ..ok(&body)
    };
    let step = match world.resume(waiting, &reply) {
        // The provider still has the same keys.
        Step::Call(call, waiting) => {
            assert_eq!(call.path, "/jwks");
            let keys = world.fake.jwks();
            world.resume(waiting, &ok(&keys))
        }
        step => step,
    };
    let Step::Reply(reply) = step else {
        panic!("a reply")
    };
    reply
}

/// Returns the reply to a sign-in whose ID token has these claims instead of those of an honest provider.
fn redeem_claims(changes: &Value) -> Reply {
    redeem(&|world, nonce| {
        let mut claims = world.claims("alice@corp.test", nonce);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        (200, world.tokens(Some(&claims)))
    })
}

#[test]
fn an_error_of_the_provider_is_not_a_user_who_cancelled() {
    for (code, expected, status, says_cancelled) in [
        ("access_denied", "sign-in-declined", 403, true),
        ("login_required", "sign-in-declined", 403, true),
        ("invalid_scope", "sign-in-provider-error", 400, false),
        ("unauthorized_client", "sign-in-provider-error", 400, false),
        ("server_error", "sign-in-provider-error", 400, false),
    ] {
        let reply = come_back(&format!("error={code}&error_description=No+such+scope"));
        let event = format!(r#"refused: {expected}: error="{code}" description="No such scope""#);
        assert_eq!(
            (&*reply.event, reply.status),
            (event.as_str(), status),
            "{code}"
        );
        assert_eq!(reply.body.contains("cancelled"), says_cancelled, "{code}");
        assert!(!reply.body.contains("No such scope"), "{}", reply.body);
    }
}

#[test]
fn the_issuer_of_a_callback() {
    let reply = come_back("code=c&iss=x");
    assert_eq!(reply.event, "refused: sign-in-bad-callback");
    let mut world = World::new();
    let mut jar = Jar::default();
    let state = world.depart("app.test", "/", &mut jar)["state"].clone();
    let path = format!("/.pomerium/callback?code=c&state={state}&iss=https://evil.test");
    let Step::Reply(reply) = world.visit("app.test", &path, &jar) else {
        panic!("a reply")
    };
    assert_eq!(
        reply.event,
        format!(
            r#"refused: sign-in-wrong-issuer: iss expected="{ISSUER}" received="https://evil.test""#
        )
    );
}

#[test]
fn an_error_of_the_token_endpoint() {
    for (status, body, expected) in [
        (
            401,
            r#"{"error":"invalid_client","error_description":"Wrong secret"}"#,
            r#"sign-in-provider-answer: the token endpoint answered status=401 error="invalid_client" description="Wrong secret""#,
        ),
        (
            400,
            r#"{"error":"invalid_grant","error_description":"the-code for the-client-secret, 0a1b2c3d4e5f6a7b8c"}"#,
            r#"sign-in-code-refused: the token endpoint answered status=400 error="invalid_grant" description="[hidden] for [hidden], [hidden]""#,
        ),
        (
            503,
            "<html>",
            "sign-in-provider-answer: the token endpoint answered status=503",
        ),
        (
            0,
            "",
            "sign-in-provider-answer: the token endpoint did not answer",
        ),
        (
            200,
            r#"{"access_token":"at"}"#,
            "sign-in-provider-answer: the token endpoint sent no ID token; the scope `openid` may be missing",
        ),
    ] {
        let reply = redeem(&|_, _| (status, body.to_owned()));
        assert_eq!(reply.event, format!("refused: {expected}"), "{body}");
        assert!(!reply.body.contains("token endpoint"), "{}", reply.body);
    }
}

#[test]
fn an_answer_of_userinfo() {
    let mut world = World::new();
    let mut jar = Jar::default();
    let query = world.depart("app.test", "/", &mut jar);
    let step = world.callback("app.test", &query["state"], &jar);
    let mut claims = world.claims("alice@corp.test", &query["nonce"]);
    claims.as_object_mut().unwrap().remove("email");
    let Step::Call(call, waiting) = world.answer(step, &claims) else {
        panic!("UserInfo is asked")
    };
    assert_eq!(call.path, "/me");
    let reply = ProviderReply {
        status: 403,
        ..ok(r#"{"error":"insufficient_scope","error_description":"not with at"}"#)
    };
    let Step::Reply(reply) = world.resume(waiting, &reply) else {
        panic!("a reply")
    };
    assert_eq!(
        reply.event,
        r#"refused: sign-in-provider-answer: UserInfo answered status=403 error="insufficient_scope" description="not with [hidden]""#
    );
}

#[test]
fn the_claims_of_a_token() {
    for (changes, expected) in [
        (
            json!({"iss": "https://evil.test"}),
            r#"token-issuer: iss expected="https://op.test" received="https://evil.test""#,
        ),
        (
            json!({"aud": "other"}),
            r#"token-audience: expected="rp" received aud="other" azp=none"#,
        ),
        (
            json!({"aud": ["rp", "other"], "azp": "other"}),
            r#"token-audience: expected="rp" received aud="rp other" azp="other""#,
        ),
        (json!({"nonce": "another"}), "token-nonce"),
        (
            json!({"iss": "x\r\ny\u{1b}"}),
            r#"token-issuer: iss expected="https://op.test" received="x\r\ny\u{1b}""#,
        ),
    ] {
        let reply = redeem_claims(&changes);
        assert_eq!(reply.event, format!("refused: {expected}"), "{changes}");
        assert_eq!(reply.status, 400, "{changes}");
    }
    let reply = redeem_claims(&json!({"exp": 1}));
    let event = &reply.event;
    assert!(event.starts_with("refused: token-expired: now="), "{event}");
    assert!(event.ends_with(" received exp=1"), "{event}");
}

#[test]
fn the_key_of_a_token() {
    let reply = redeem(&|world, nonce| {
        let header = json!({"alg": "HS256", "kid": "mine"});
        let claims = world.claims("alice@corp.test", nonce).to_string();
        let token = world.fake.sign_under(&header, &claims);
        (200, json!({"id_token": token}).to_string())
    });
    let start = r#"refused: token-unknown-key: received alg="HS256" kid="mine" expected=""#;
    assert!(reply.event.starts_with(start), "{}", reply.event);
    assert!(!reply.event.contains("expected=\"\""), "{}", reply.event);
}

/// A user whose address is not verified learns that; the log has it beside the reasons of the policy.
#[test]
fn an_address_that_is_not_verified() {
    let mut world = World::new();
    let more = json!({"email_verified": false});
    let jar = world.sign_in_with("app.test", "/", "alice@corp.test", &more);
    let Step::Reply(reply) = world.visit("app.test", "/", &jar) else {
        panic!("a refusal")
    };
    assert_eq!(reply.status, 403);
    assert!(
        reply.event.ends_with(" email_verified=false"),
        "{}",
        reply.event
    );
    assert!(
        reply.body.contains("has not verified your email address"),
        "{}",
        reply.body
    );

    let jar = world.sign_in("app.test", "/", "mallory@evil.test");
    let step = world.visit("app.test", "/", &jar);
    assert_eq!(status(&step), 403);
    let Step::Reply(reply) = step else {
        panic!("a refusal")
    };
    assert!(!reply.event.contains("email_verified"), "{}", reply.event);
    assert!(!reply.body.contains("has not verified"), "{}", reply.body);
}

#[test]
fn an_address_that_cannot_be_one_is_named_as_the_cause() {
    for (email, expected) in [
        ("jörg@corp.test", "signed in"),
        ("al\u{ff20}ice@corp.test", "signed in email=malformed"),
        ("", "signed in"),
    ] {
        let reply = redeem_claims(&json!({"email": email}));
        assert_eq!(&*reply.event, expected);
    }
}
