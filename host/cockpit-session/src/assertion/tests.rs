//! Good and bad tokens.

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_800_000_000;

fn signing_key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn header() -> Value {
    json!({"alg": "ES256", "typ": "jetway-cockpit+jwt", "kid": "k"})
}

fn claims() -> Value {
    json!({
        "iss": "https://cockpit.example.com/", "aud": "cockpit.example.com", "sub": "00u1", "email": "alice@example.com",
        "user": "alice", "iat": NOW, "nbf": NOW, "exp": NOW + 60, "jti": "c29tZSByYW5kb20", "sid": "s",
        "session_exp": NOW + 3600, "rhost": "203.0.113.9",
    })
}

fn sign(header: &str, claims: &str) -> String {
    let encode = |text: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(text);
    let message = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims.as_bytes())
    );
    let signature: Signature = signing_key().sign(message.as_bytes());
    format!("{message}.{}", encode(&signature.to_bytes()))
}

fn token(claims: &Value) -> String {
    sign(&header().to_string(), &claims.to_string())
}

fn verify_at(token: &str, now: u64) -> Result<Assertion, AssertionError> {
    let pem = signing_key()
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    let hosts = [
        "other.example.com".to_owned(),
        "cockpit.example.com".to_owned(),
    ];
    Assertion::verify(token, &PublicKeys::parse(&pem).unwrap(), &hosts, now)
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims();
    change(&mut claims);
    token(&claims)
}

#[test]
fn a_good_assertion_is_accepted() {
    let good = verify_at(&token(&claims()), NOW).unwrap();
    assert_eq!(
        (good.user.as_str(), good.subject.as_str(), good.id.as_str()),
        ("alice", "00u1", "c29tZSByYW5kb20")
    );
    assert_eq!(good.email.as_deref(), Some("alice@example.com"));
    assert!(!good.administrator);
    assert_eq!(
        (good.session_ends, good.remote_host),
        (
            UNIX_EPOCH + Duration::from_secs(NOW + 3600),
            "203.0.113.9".parse().ok()
        )
    );
}

#[test]
fn administrators_are_named_by_a_claim_of_its_type() {
    for administrator in [false, true] {
        let token = with(|claims| claims["administrator"] = json!(administrator));
        assert_eq!(verify_at(&token, NOW).unwrap().administrator, administrator);
    }
    for other in [json!("true"), json!(1), json!(null)] {
        let token = with(|claims| claims["administrator"] = other.clone());
        assert_eq!(
            verify_at(&token, NOW).unwrap_err(),
            AssertionError::Claims,
            "{other}"
        );
    }
}

#[test]
fn email_and_address_may_be_missing() {
    let token = with(|claims| {
        claims
            .as_object_mut()
            .unwrap()
            .retain(|name, _| name != "email" && name != "rhost");
    });
    let good = verify_at(&token, NOW).unwrap();
    assert_eq!((good.email, good.remote_host), (None, None));
}

#[test]
fn every_other_claim_is_needed_and_has_its_type() {
    for name in [
        "iss",
        "aud",
        "sub",
        "user",
        "iat",
        "nbf",
        "exp",
        "jti",
        "session_exp",
    ] {
        let missing = with(|claims| {
            claims.as_object_mut().unwrap().remove(name);
        });
        assert_eq!(
            verify_at(&missing, NOW).unwrap_err(),
            AssertionError::Claims,
            "without {name}"
        );
        let nested = with(|claims| claims[name] = json!([claims[name]]));
        assert_eq!(
            verify_at(&nested, NOW).unwrap_err(),
            AssertionError::Claims,
            "list in {name}"
        );
        let null = with(|claims| claims[name] = Value::Null);
        assert_eq!(
            verify_at(&null, NOW).unwrap_err(),
            AssertionError::Claims,
            "null in {name}"
        );
    }
}

#[test]
fn claims_with_bad_values_are_refused() {
    for (name, value, expected) in [
        (
            "iss",
            json!("https://cockpit.example.com"),
            AssertionError::Issuer,
        ),
        (
            "iss",
            json!("https://other.example.com/"),
            AssertionError::Issuer,
        ),
        ("aud", json!("evil.example.com"), AssertionError::Audience),
        (
            "aud",
            json!("COCKPIT.example.com"),
            AssertionError::Audience,
        ),
        (
            "aud",
            json!("cockpit.example.com:443"),
            AssertionError::Audience,
        ),
        ("aud", json!(""), AssertionError::Audience),
        ("user", json!(""), AssertionError::Claims),
        ("jti", json!(""), AssertionError::Claims),
        ("jti", json!("x".repeat(1025)), AssertionError::Claims),
        ("email", json!("x".repeat(1025)), AssertionError::Claims),
        ("rhost", json!("203.0.113.9:1234"), AssertionError::Claims),
        ("rhost", json!("host.example.com"), AssertionError::Claims),
        ("exp", json!(NOW + 61), AssertionError::Lifetime),
        ("exp", json!(NOW - 1), AssertionError::Claims),
        ("exp", json!(u64::MAX), AssertionError::Lifetime),
        ("exp", json!(-1), AssertionError::Claims),
        ("exp", json!(1.5), AssertionError::Claims),
        ("nbf", json!(NOW + 11), AssertionError::NotYet(11)),
        (
            "nbf",
            json!(u64::MAX),
            AssertionError::NotYet(u64::MAX - NOW),
        ),
        ("session_exp", json!(NOW), AssertionError::SessionEnded),
        ("session_exp", json!(0), AssertionError::SessionEnded),
        ("session_exp", json!(u64::MAX), AssertionError::Claims),
    ] {
        let token = with(|claims| claims[name] = value.clone());
        assert_eq!(
            verify_at(&token, NOW).unwrap_err(),
            expected,
            "{name}: {value}"
        );
    }
}

#[test]
fn clocks_may_differ_a_little() {
    let token = token(&claims());
    for now in [NOW - 10, NOW, NOW + 69] {
        assert!(verify_at(&token, now).is_ok(), "{now}");
    }
    assert_eq!(
        verify_at(&token, NOW - 11).unwrap_err(),
        AssertionError::NotYet(11)
    );
    assert_eq!(
        verify_at(&token, NOW + 70).unwrap_err(),
        AssertionError::Expired(10)
    );
    assert_eq!(
        verify_at(&token, u64::MAX).unwrap_err(),
        AssertionError::Expired(u64::MAX - NOW - 60)
    );
    assert_eq!(
        verify_at(&token, 0).unwrap_err(),
        AssertionError::NotYet(NOW)
    );
}

#[test]
fn other_headers_are_refused_although_the_signature_is_good() {
    for (name, value, expected) in [
        ("alg", json!("none"), AssertionError::Algorithm),
        ("alg", json!("HS256"), AssertionError::Algorithm),
        ("alg", json!("es256"), AssertionError::Algorithm),
        ("alg", json!(["ES256"]), AssertionError::Form),
        ("typ", json!("JWT"), AssertionError::Type),
        (
            "typ",
            json!("application/jetway-cockpit+jwt"),
            AssertionError::Type,
        ),
        ("typ", Value::Null, AssertionError::Form),
        ("crit", json!(["b64"]), AssertionError::Critical),
    ] {
        let mut header = header();
        header[name] = value.clone();
        let token = sign(&header.to_string(), &claims().to_string());
        assert_eq!(
            verify_at(&token, NOW).unwrap_err(),
            expected,
            "{name}: {value}"
        );
    }
    let untyped = sign(r#"{"alg":"ES256"}"#, &claims().to_string());
    assert_eq!(verify_at(&untyped, NOW).unwrap_err(), AssertionError::Form);
}

#[test]
fn every_changed_character_spoils_the_token() {
    let token = token(&claims());
    for (index, character) in token.char_indices() {
        let other = if character == 'A' { 'B' } else { 'A' };
        let mut tampered = token.clone();
        tampered.replace_range(index..=index, &other.to_string());
        assert!(verify_at(&tampered, NOW).is_err(), "changed at {index}");
    }
    for end in 0..token.len() {
        assert!(verify_at(&token[..end], NOW).is_err(), "cut at {end}");
    }
}

#[test]
fn another_key_is_not_trusted() {
    let pem = SigningKey::from_slice(&[8; 32])
        .unwrap()
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    let keys = PublicKeys::parse(&pem).unwrap();
    let hosts = ["cockpit.example.com".to_owned()];
    let error = Assertion::verify(&token(&claims()), &keys, &hosts, NOW).unwrap_err();
    assert_eq!(error, AssertionError::Signature);
}

#[test]
fn a_claim_that_is_there_twice_is_refused() {
    let text = claims().to_string().replacen('{', r#"{"user":"root","#, 1);
    let token = sign(&header().to_string(), &text);
    assert_eq!(verify_at(&token, NOW).unwrap_err(), AssertionError::Claims);
}

#[test]
fn garbage_is_refused() {
    let deep = sign(
        &header().to_string(),
        &format!("{}{}", "[".repeat(2000), "]".repeat(2000)),
    );
    let long = sign(&header().to_string(), &" ".repeat(MAX_TOKEN));
    for (token, expected) in [
        ("", AssertionError::Form),
        (".", AssertionError::Form),
        ("..", AssertionError::Form),
        ("....", AssertionError::Form),
        ("a.b.c.d.e", AssertionError::Form),
        ("e30.e30.e30", AssertionError::Form),
        ("\u{0}.\u{0}.\u{0}", AssertionError::Form),
        (&deep, AssertionError::Claims),
        (&long, AssertionError::TooLong),
    ] {
        assert_eq!(verify_at(token, NOW).unwrap_err(), expected, "{token}");
    }
}
