use serde_json::json;

use super::*;
use crate::config::EmailVerification;
use crate::testing::{CLIENT, FakeProvider, ISSUER};

const NOW: Timestamp = Timestamp(1_800_000_000);
const NONCE: &str = "the-nonce";

fn base() -> Value {
    json!({
        "iss": ISSUER, "sub": "s1", "aud": CLIENT, "exp": NOW.0 + 300, "iat": NOW.0, "nonce": NONCE,
        "email": "alice@corp.test", "email_verified": true,
    })
}

fn check(token: &str, fake: &FakeProvider) -> Result<Claims, TokenProblem> {
    let keys = KeySet::read(fake.jwks().as_bytes()).unwrap();
    let expected = ExpectedIdToken {
        issuer: ISSUER,
        client_id: CLIENT,
        nonce: Nonce::Is(NONCE),
        access_token: Some("at"),
        now: NOW,
    };
    verify(token, &keys, &expected)
}

/// The result for the base token with one claim replaced, or taken out with `None`.
fn claim(name: &str, value: Option<Value>) -> Option<TokenProblem> {
    let fake = FakeProvider::new();
    let mut claims = base();
    let object = claims.as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(name.to_owned(), value),
        None => object.remove(name),
    };
    check(&fake.sign(&claims), &fake).err()
}

#[test]
fn a_good_token_holds() {
    let fake = FakeProvider::new();
    assert_eq!(
        check(&fake.sign(&base()), &fake).unwrap()["email"],
        "alice@corp.test"
    );
}

#[test]
fn issuer_audience_and_party() {
    use TokenProblem::{Audience, Issuer};
    assert_eq!(claim("iss", Some(json!("https://op.test/"))), Some(Issuer));
    assert_eq!(claim("iss", None), Some(Issuer));
    for audience in [
        json!("other"),
        json!(""),
        json!([]),
        json!(["other"]),
        json!(format!("{CLIENT} other")),
    ] {
        assert_eq!(
            claim("aud", Some(audience.clone())),
            Some(Audience),
            "{audience}"
        );
    }
    for audience in [json!(null), json!(1), json!({}), json!([CLIENT, 1])] {
        assert!(claim("aud", Some(audience.clone())).is_some(), "{audience}");
    }
    assert_eq!(claim("aud", None), Some(Audience));
    assert_eq!(claim("aud", Some(json!([CLIENT]))), None);
    assert_eq!(
        claim("aud", Some(json!([CLIENT, "other"]))),
        Some(Audience),
        "two audiences need azp"
    );
    assert_eq!(claim("azp", Some(json!("other"))), Some(Audience));
    assert_eq!(claim("azp", Some(json!(CLIENT))), None);
}

#[test]
fn times_to_the_second() {
    use TokenProblem::{Expired, IssuedAt};
    let now = NOW.0;
    for (value, expected) in [
        (json!(now - 59), None),
        (json!(now - 60), Some(Expired)),
        (json!(now - 61), Some(Expired)),
        (json!("9999999999"), Some(Expired)),
        (json!(-1), Some(Expired)),
        (json!(1e300), Some(Expired)),
        (json!(9_007_199_254_740_993_u64), Some(Expired)),
    ] {
        assert_eq!(claim("exp", Some(value.clone())), expected, "exp {value}");
    }
    assert_eq!(claim("exp", None), Some(Expired));
    for (value, expected) in [
        (json!(now + 60), None),
        (json!(now + 61), Some(IssuedAt)),
        (json!(now - 660), None),
        (json!(now - 661), Some(IssuedAt)),
        (json!("x"), Some(IssuedAt)),
    ] {
        assert_eq!(claim("iat", Some(value.clone())), expected, "iat {value}");
    }
    assert_eq!(claim("iat", None), Some(IssuedAt));
    assert_eq!(claim("nbf", Some(json!(now + 30))), None);
    assert_eq!(claim("nbf", Some(json!(now + 120))), Some(IssuedAt));
    assert_eq!(claim("nbf", Some(json!("x"))), Some(IssuedAt));
}

#[test]
fn nonce_and_subject() {
    for nonce in [json!(""), json!("other"), json!(format!("{NONCE} "))] {
        assert_eq!(claim("nonce", Some(nonce)), Some(TokenProblem::Nonce));
    }
    assert_eq!(claim("nonce", None), Some(TokenProblem::Nonce));
    assert!(claim("nonce", Some(json!([NONCE]))).is_some());
    for subject in [json!(""), json!("x".repeat(256)), json!("a\nb")] {
        assert_eq!(claim("sub", Some(subject)), Some(TokenProblem::Subject));
    }
    assert_eq!(claim("sub", None), Some(TokenProblem::Subject));
}

#[test]
fn access_token_hash() {
    let half = URL_SAFE_NO_PAD.encode(&Sha256::digest(b"at")[..16]);
    assert_eq!(claim("at_hash", Some(json!(half))), None);
    assert_eq!(
        claim("at_hash", Some(json!("AAAA"))),
        Some(TokenProblem::AccessToken)
    );
}

#[test]
fn forged_headers() {
    let fake = FakeProvider::new();
    let token = fake.sign(&base());
    let (_, rest) = token.split_once('.').unwrap();
    for (header, expected) in [
        (json!({"alg": "none"}), TokenProblem::UnknownKey),
        (
            json!({"alg": "HS256", "kid": "k1"}),
            TokenProblem::UnknownKey,
        ),
        (
            json!({"alg": "ES384", "kid": "k1"}),
            TokenProblem::UnknownKey,
        ),
        (
            json!({"alg": "ES256", "kid": "other"}),
            TokenProblem::UnknownKey,
        ),
        (
            json!({"alg": "ES256", "kid": "k1"}),
            TokenProblem::Signature,
        ),
        (
            json!({"alg": "ES256", "kid": "k1", "crit": []}),
            TokenProblem::Malformed,
        ),
        (
            json!({"alg": "ES256", "kid": "k1", "crit": ["exp"]}),
            TokenProblem::Malformed,
        ),
        (
            json!({"alg": "ES256", "kid": "k1", "typ": "at+jwt"}),
            TokenProblem::Malformed,
        ),
        (json!({"alg": ["ES256"]}), TokenProblem::Malformed),
        (json!({"kid": "k1"}), TokenProblem::Malformed),
        (json!({"alg": "ES256", "kid": 1}), TokenProblem::Malformed),
    ] {
        let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        assert_eq!(check(&forged, &fake).err(), Some(expected), "{header}");
    }
    let twice = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","alg":"ES256"}"#);
    assert_eq!(
        check(&format!("{twice}.{rest}"), &fake).err(),
        Some(TokenProblem::Malformed)
    );
}

#[test]
fn forged_shapes() {
    let fake = FakeProvider::new();
    let token = fake.sign(&base());
    let mut shapes: Vec<String> = ["", ".", "..", "...", "a.b", "a.b.c.d.e"]
        .map(str::to_owned)
        .to_vec();
    shapes.extend([
        format!(".{token}"),
        format!("{token}."),
        format!("{token}="),
        "x".repeat(MAX_TOKEN + 1),
    ]);
    for shape in shapes {
        assert!(check(&shape, &fake).is_err(), "{shape:.40}");
    }
    let signature = token.rsplit_once('.').unwrap().0;
    for zeros in ["", "AAAA", &"A".repeat(86)] {
        assert_eq!(
            check(&format!("{signature}.{zeros}"), &fake).err(),
            Some(TokenProblem::Signature)
        );
    }
    assert_eq!(
        check(&token, &FakeProvider::with_key(2, "k1")).err(),
        Some(TokenProblem::Signature),
        "another provider's key"
    );
}

#[test]
fn repeated_claims() {
    let fake = FakeProvider::new();
    let payload = base()
        .to_string()
        .replacen('{', r#"{"email":"m@evil.test","#, 1);
    assert_eq!(
        check(&fake.sign_text(&payload), &fake).err(),
        Some(TokenProblem::Malformed)
    );
}

/// A policy or an upstream must not get by the claim an address that is refused.
#[test]
fn a_refused_address_is_no_claim() {
    for (address, is_kept) in [
        (json!("a@b.test"), true),
        (json!("a@b@c.test"), false),
        (json!("a b@c.test"), false),
        (json!("b.test"), false),
        (json!(["a@b.test"]), false),
    ] {
        let claims = json!({"sub": "s", "email": address, "email_verified": true});
        let claims = claims.as_object().unwrap();
        let needs = ClaimFilter::everything();
        let identity = read_identity(claims, &EmailTrust::default(), &needs).unwrap();
        assert_eq!(identity.email.is_some(), is_kept, "{address}");
        assert_eq!(identity.claims.contains_key("email"), is_kept, "{address}");
    }
}

#[test]
fn identities() {
    let of = |claims: Value, verification| {
        read_identity(
            claims.as_object().unwrap(),
            &EmailTrust {
                verification,
                ..EmailTrust::default()
            },
            &ClaimFilter::default(),
        )
        .unwrap()
    };
    let verified = |value: Option<Value>, verification| {
        let mut claims = json!({"sub": "s", "email": "a@b.test"});
        if let Some(value) = value {
            claims["email_verified"] = value;
        }
        of(claims, verification).email_verified
    };
    for (value, by_default, strictly) in [
        (None, true, false),
        (Some(json!(true)), true, true),
        (Some(json!("true")), true, true),
        (Some(json!(false)), false, false),
        (Some(json!("false")), false, false),
        (Some(json!(1)), false, false),
        (Some(json!(null)), false, false),
    ] {
        assert_eq!(
            verified(value.clone(), EmailVerification::ByProvider),
            by_default,
            "{value:?}"
        );
        assert_eq!(
            verified(value.clone(), EmailVerification::Strict),
            strictly,
            "{value:?}"
        );
        assert!(verified(value, EmailVerification::Off));
    }
    for email in [
        json!("a@evil@corp.test"),
        json!("\"a@corp.test\"@evil"),
        json!("a@corp.test\n"),
        json!("a@corp.test\0"),
        json!("a@corp.test."),
        json!("@corp.test"),
        json!("a@"),
        json!("a@corp.test,b@evil"),
        json!(["a@corp.test"]),
        json!({}),
        json!(1),
        json!("x".repeat(400) + "@corp.test"),
        json!("\u{430}\u{200b}@corp.test"),
        json!("\u{ff41}@corp.test"),
        json!("a@corp\u{ff0e}test"),
    ] {
        assert_eq!(
            of(json!({"sub": "s", "email": email}), EmailVerification::Off).email,
            None,
            "{email}"
        );
    }
    // A Cyrillic letter that looks like `a` is another user's.
    let cyrillic = "\u{430}@corp.test";
    let identity = of(
        json!({"sub": "s", "email": cyrillic}),
        EmailVerification::Off,
    );
    assert_eq!(identity.email.as_deref(), Some(cyrillic));
}
