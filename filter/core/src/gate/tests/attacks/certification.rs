//! The cases of the OpenID certification of relying parties, repeated with a test provider and named as in its suite
//! (<https://gitlab.com/openid/conformance-suite>). The cases of sign-outs
//! are among the tests of sign-outs, as `rp_...`.

use serde_json::{Value, json};

use super::forge::{By, Forge, encode};
use super::target::{Target, assert_is_refused, changed};
use crate::gate::Progress;
use crate::gate::step::Step;
use crate::gate::tests::world::{Jar, ok, status};
use crate::oidc::call::ProviderReply;
use crate::oidc::metadata::{BadDiscovery, Discovered};
use crate::oidc::provider::Absorbed;
use crate::testing::provider_settings;

#[test]
fn oidcc_client_test() {
    Target::new().accepts_token("the plain case", Forge::honest_claims);
}

#[test]
fn oidcc_client_test_invalid_iss() {
    let mut target = Target::new();
    for issuer in [
        json!("https://op.test/"),
        json!("https://evil.test"),
        json!(""),
        json!(null),
        json!(["https://op.test"]),
    ] {
        target.refuses_claim("iss", Some(issuer));
    }
    target.refuses_claim("iss", None);
}

#[test]
fn oidcc_client_test_missing_sub() {
    let mut target = Target::new();
    target.refuses_claim("sub", None);
    target.refuses_claim("sub", Some(json!("")));
}

#[test]
fn oidcc_client_test_invalid_aud() {
    Target::new().refuses_claim("aud", Some(json!("somebody-else")));
}

#[test]
fn oidcc_client_test_missing_aud() {
    Target::new().refuses_claim("aud", None);
}

#[test]
fn oidcc_client_test_missing_iat() {
    Target::new().refuses_claim("iat", None);
}

/// The signature is over other bytes.
fn with_wrong_signature(by: By, alg: &str, kid: &str) {
    let mut target = Target::new();
    target.refuses_token(alg, |forge, claims| {
        let header = json!({"alg": alg, "kid": kid}).to_string();
        let good = forge.token(by, &header, &claims.to_string());
        let other = forge.token(
            by,
            &header,
            &changed(claims, "sub", Some(json!("other"))).to_string(),
        );
        let signature = other.rsplit('.').next().unwrap_or_default().to_owned();
        let (input, _) = good.rsplit_once('.').unwrap();
        format!("{input}.{signature}")
    });
}

#[test]
fn oidcc_client_test_invalid_sig_rs256() {
    with_wrong_signature(By::Rs256, "RS256", "k1");
}

#[test]
fn oidcc_client_test_invalid_sig_es256() {
    with_wrong_signature(By::Es256, "ES256", "e1");
}

#[test]
fn oidcc_client_test_invalid_sig_hs256() {
    let mut target = Target::new();
    target.refuses_token("HS256", |_, claims| {
        let input = super::forge::signing_input(r#"{"alg":"HS256"}"#, &claims.to_string());
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"another secret");
        format!(
            "{input}.{}",
            encode(ring::hmac::sign(&key, input.as_bytes()).as_ref())
        )
    });
}

#[test]
fn oidcc_client_test_userinfo_invalid_sub() {
    let mut target = Target::new();
    target.userinfo = Some((
        200,
        json!({"sub": "somebody-else", "email": "alice@corp.test"}).to_string(),
    ));
    target.refuses_token("userinfo", |forge, claims| {
        forge.honest(&changed(claims, "email", None))
    });
}

#[test]
fn oidcc_client_test_nonce_invalid() {
    Target::new().refuses_claim("nonce", Some(json!("another")));
}

#[test]
fn oidcc_client_test_kid_absent_single_jwks() {
    let mut target = Target::new();
    let keys = json!({"keys": [target.forge.rsa_key()]}).to_string();
    assert!(matches!(
        target.show_keys(200, keys.as_bytes()),
        Absorbed::Ready
    ));
    target.accepts_token("no kid", |forge, claims| {
        forge.with_header(&json!({"alg": "RS256"}), &claims)
    });
}

/// Both results are allowed; the gate tries every key of the algorithm.
#[test]
fn oidcc_client_test_kid_absent_multiple_jwks() {
    Target::new().accepts_token("no kid", |forge, claims| {
        forge.with_header(&json!({"alg": "RS256"}), &claims)
    });
}

#[test]
fn oidcc_client_test_idtoken_sig_rs256() {
    Target::new().accepts_token("RS256", Forge::honest_claims);
}

/// The suite allows the code flow to accept this, and counts a refusal as skipped. The gate refuses it.
#[test]
fn oidcc_client_test_idtoken_sig_none() {
    Target::new().refuses_token("none", |_, claims| {
        format!(
            "{}.",
            super::forge::signing_input(r#"{"alg":"none"}"#, &claims.to_string())
        )
    });
}

#[test]
fn oidcc_client_test_userinfo_bearer_header() {
    let mut target = Target::new();
    let callback = target.come_back();
    let token = target
        .forge
        .honest(&changed(target.claims(&callback), "email", None));
    let Step::Call(_, waiting) = callback.step else {
        panic!("a call")
    };
    let body = json!({"id_token": token, "access_token": "at-of-alice"}).to_string();
    let Step::Call(call, _) = target.world.resume(waiting, &ok(&body)) else {
        panic!("UserInfo is asked")
    };
    assert_eq!((call.method, call.path.as_str()), ("GET", "/me"));
    assert!(
        call.headers
            .contains(&("authorization", "Bearer at-of-alice".to_owned()))
    );
}

#[test]
fn oidcc_client_test_scope_userinfo_claims() {
    let mut target = Target::new();
    target.userinfo = Some((
        200,
        json!({"sub": "s-alice@corp.test", "email": "alice@corp.test", "email_verified": true})
            .to_string(),
    ));
    target.accepts_token("claims from UserInfo", |forge, claims| {
        forge.honest(&changed(
            changed(claims, "email", None),
            "email_verified",
            None,
        ))
    });
}

#[test]
fn oidcc_client_test_client_secret_basic() {
    let mut target = Target::new();
    let Step::Call(call, _) = target.come_back().step else {
        panic!("a call")
    };
    assert!(
        call.headers
            .iter()
            .any(|(name, value)| *name == "authorization" && value.starts_with("Basic "))
    );
    assert!(!call.body.contains("client_secret"));
}

#[test]
fn oidcc_client_test_discovery_openid_config() {
    let target = Target::new();
    let discovered = Discovered::read(
        target.world.fake.discovery().as_bytes(),
        &provider_settings(),
    )
    .unwrap();
    assert_eq!(discovered.token_endpoint.path, "/token");
}

#[test]
fn oidcc_client_test_discovery_jwks_uri_keys() {
    let mut target = Target::new();
    let callback = target.come_back();
    let token = target.forge.honest(&target.claims(&callback));
    assert_eq!(status(&target.answer(callback.step, &token)), 303);
}

#[test]
fn oidcc_client_test_discovery_issuer_mismatch() {
    let target = Target::new();
    let document: Value = serde_json::from_str(&target.world.fake.discovery()).unwrap();
    for issuer in [
        "https://evil.test",
        "https://op.test/other",
        "http://op.test",
        "https://OP.test",
        "",
    ] {
        let other = changed(document.clone(), "issuer", Some(json!(issuer)));
        let read = Discovered::read(other.to_string().as_bytes(), &provider_settings());
        assert_eq!(read.err(), Some(BadDiscovery::Issuer), "{issuer}");
    }
}

impl Target {
    /// Signs in with a key that the provider has used only since the last fetch.
    fn rotates(&mut self) {
        self.world.fixture.now = self.world.fixture.now.plus(61);
        self.forge = Forge::with_seed(2);
        let kid = "fresh";
        let mut fresh = self.forge.ec_key();
        fresh["kid"] = json!(kid);
        let keys = json!({"keys": [fresh]}).to_string();
        let callback = self.come_back();
        let claims = self.claims(&callback).to_string();
        let token = self.forge.token(
            By::Es256,
            &json!({"alg": "ES256", "kid": kid}).to_string(),
            &claims,
        );
        let Step::Call(_, waiting) = callback.step else {
            panic!("a call")
        };
        let body = json!({"id_token": token, "access_token": "at"}).to_string();
        let Step::Call(call, waiting) = self.world.resume(waiting, &ok(&body)) else {
            panic!("the keys are fetched")
        };
        assert_eq!(call.path, "/jwks");
        let step = self.world.resume(waiting, &ok(&keys));
        assert_eq!(status(&step), 303, "{step:?}");
        self.still_serves("new keys");
    }
}

#[test]
fn oidcc_client_test_signing_key_rotation() {
    Target::new().rotates();
}

/// The key changes while the user is at the provider: the sign-in began with the old one.
#[test]
fn oidcc_client_test_signing_key_rotation_just_before_signing() {
    Target::new().rotates();
}

#[test]
fn oidcc_client_test_invalid_at_hash() {
    Target::new().refuses_claim("at_hash", Some(json!("AAAAAAAAAAAAAAAAAAAAAA")));
}

impl Target {
    /// Refreshes alice's session with another ID token, and returns the event and whether she is
    /// still signed in.
    fn renews_with(&mut self, name: &str, value: Value) -> (String, bool) {
        let mut callback = self.come_back();
        let nonce = callback.query["nonce"].clone();
        let token = self
            .forge
            .honest(&self.world.claims("alice@corp.test", &nonce));
        let answer = |token: &str| {
            json!({"id_token": token, "access_token": "at", "refresh_token": "rt", "expires_in": 300})
                .to_string()
        };
        let Step::Reply(reply) = self.answer_with(callback.step, 200, &answer(&token)) else {
            panic!("a reply")
        };
        callback.jar.take(&reply);
        self.world.fixture.now = self.world.fixture.now.plus(250);
        assert!(matches!(
            self.world.visit("app.test", "/", &callback.jar),
            Step::Forward(_)
        ));
        let begun = self.world.gate.next_refresh(&mut self.world.fixture.env());
        let (call, refreshing) = begun.unwrap();
        assert!(call.path == "/token" && call.body.contains("grant_type=refresh_token"));
        let claims = changed(
            self.world.claims("alice@corp.test", &nonce),
            name,
            Some(value),
        );
        let body = answer(&self.forge.honest(&claims));
        let progress =
            refreshing.resume(&self.world.gate, &ok(&body), &mut self.world.fixture.env());
        let Progress::Over(event) = progress else {
            panic!("{progress:?}")
        };
        self.still_serves("a refresh");
        let step = self.world.visit("app.test", "/", &callback.jar);
        (event.into_owned(), matches!(step, Step::Forward(_)))
    }
}

#[test]
fn oidcc_client_test_refresh_token() {
    let (event, signed_in) = Target::new().renews_with("name", json!("Alice"));
    assert!(
        event.starts_with("session refreshed") && signed_in,
        "{event}"
    );
}

#[test]
fn oidcc_client_test_refresh_token_invalid_issuer() {
    let (event, _) = Target::new().renews_with("iss", json!("https://evil.test"));
    assert!(!event.starts_with("session refreshed"), "{event}");
}

#[test]
fn oidcc_client_test_refresh_token_invalid_sub() {
    let (event, signed_in) = Target::new().renews_with("sub", json!("s-bob@corp.test"));
    assert!(event.starts_with("session ended") && !signed_in, "{event}");
}

/// RFC 9207: the callback names another issuer, or none although this provider always names one.
#[test]
fn the_answer_comes_from_another_issuer() {
    let mut target = Target::new();
    for issuer in [
        "&iss=https://evil.test",
        "&iss=https://op.test/",
        "&iss=",
        "",
    ] {
        let mut jar = Jar::default();
        let query = target.world.depart("app.test", "/", &mut jar);
        let path = format!(
            "/.pomerium/callback?code=c&state={}{issuer}",
            query["state"]
        );
        let Step::Reply(reply) = target.world.visit("app.test", &path, &jar) else {
            panic!("{issuer}: the code is redeemed")
        };
        assert_is_refused(issuer, &reply);
        target.still_serves(issuer);
    }
}

/// Every answer of the token endpoint leads to a reply.
#[test]
fn the_token_endpoint_answers_rubbish() {
    let mut target = Target::new();
    for (status, body) in [
        (200, "access_token=x&id_token=y"),
        (200, r#"{"id_token":1}"#),
        (200, r#"{"id_token":null,"access_token":"x"}"#),
        (200, r#"{"id_token":"a.b.c","id_token":"a.b.c"}"#),
        (200, "\u{0}"),
        (204, ""),
        (400, "{}"),
        (400, "<html>"),
        (401, r#"{"error":"invalid_client"}"#),
        (403, r#"{"error":"invalid_code"}"#),
        (429, ""),
        (500, ""),
    ] {
        let callback = target.come_back();
        let Step::Call(_, waiting) = callback.step else {
            panic!("a call")
        };
        let reply = ProviderReply {
            status,
            body: body.as_bytes(),
            date: b"\xff rubbish",
        };
        let Step::Reply(reply) = target.world.resume(waiting, &reply) else {
            panic!("{body}: a reply")
        };
        assert_is_refused(body, &reply);
        target.still_serves(body);
    }
}
