use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};

use super::*;

/// As OpenSSL makes one, with the curve's parameters in front.
const BY_OPENSSL: &str = "\
-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEICzGB76yAfUH5asDS8Wt97mLSQMYagZcYmtxLuJgDWWboAoGCCqGSM49
AwEHoUQDQgAEtytUi/NlGf715mvXbZ75CfjSPf9BykF1QuwgnVLlSE9rI5eoA0dS
IHU34/eOYageHK+pEJlz2n8lZXif+Ga7Bg==
-----END EC PRIVATE KEY-----
";

fn secret_key() -> SecretKey {
    SecretKey::from_slice(&[7; 32]).unwrap()
}

fn error(text: &[u8]) -> String {
    AssertionKey::from_pem(text).unwrap_err()
}

#[test]
fn keys_in_every_form_are_the_same_key() {
    let key = secret_key();
    let expected = AssertionKey::ecdsa(SigningKey::from(key.clone()));
    let pkcs8 = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    let crlf = key.to_pkcs8_pem(LineEnding::CRLF).unwrap();
    let sec1 = key.to_sec1_pem(LineEnding::LF).unwrap();
    let packed = STANDARD.encode(pkcs8.as_bytes());
    let wrapped = format!("{}\n{}\n", &packed[..76], &packed[76..]);
    let indented = format!("  \n{}\n\n", pkcs8.as_str());
    for text in [
        pkcs8.as_str(),
        crlf.as_str(),
        sec1.as_str(),
        &packed,
        &wrapped,
        &indented,
    ] {
        let read = AssertionKey::from_pem(text.as_bytes()).unwrap();
        assert_eq!(read.id(), expected.id(), "{text}");
    }
    assert!(AssertionKey::from_pem(BY_OPENSSL.as_bytes()).is_ok());
}

#[test]
fn other_texts_are_refused() {
    let other_curve = jwt_simple::prelude::ES384KeyPair::generate()
        .to_pem()
        .unwrap();
    for (text, problem) in [
        ("", "not in PEM"),
        ("not base64!", "not in PEM"),
        ("AAAA", "not in PEM"),
        (&other_curve, "neither one on the curve P-256"),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
            "an encrypted key",
        ),
        ("-----BEGIN PUBLIC KEY-----\n", "a public key"),
        ("-----BEGIN CERTIFICATE-----\n", "a certificate"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n", "no private key"),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "neither one on the curve P-256",
        ),
    ] {
        let error = error(text.as_bytes());
        assert!(error.contains(problem), "{text}: {error}");
    }
    assert!(error(&[0xff; 10]).contains("not in PEM"));
    assert!(error(&[b'A'; MAX_PEM + 1]).contains("longer"));
}

#[test]
fn derived_keys_follow_from_the_secret_alone() {
    let derived = |byte| AssertionKey::derived(&Secret::new(vec![byte; 32]));
    assert_eq!(derived(1).key_set(), derived(1).key_set());
    assert_ne!(derived(1).id(), derived(2).id());
}

/// Verified by what a receiver has: the key set, and ECDSA.
#[test]
fn tokens_hold_with_the_published_key() {
    let key = AssertionKey::derived(&Secret::new(vec![1; 32]));
    let set: Value = serde_json::from_str(&key.key_set()).unwrap();
    let jwk = &set["keys"][0];
    assert_eq!(
        (&jwk["kty"], &jwk["crv"], &jwk["alg"], &jwk["use"]),
        (
            &json!("EC"),
            &json!("P-256"),
            &json!("ES256"),
            &json!("sig")
        )
    );
    let mut point = vec![4];
    for coordinate in ["x", "y"] {
        point.extend(
            URL_SAFE_NO_PAD
                .decode(jwk[coordinate].as_str().unwrap())
                .unwrap(),
        );
    }
    let public = VerifyingKey::from_sec1_bytes(&point).unwrap();
    let token = key.sign(json!({"sub": "s"}).as_object().unwrap()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    public.verify(signed.as_bytes(), &signature).unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let read = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(
        read(header),
        json!({"alg": "ES256", "typ": "JWT", "kid": jwk["kid"]})
    );
    assert_eq!(read(claims), json!({"sub": "s"}));
    let other = key.sign(json!({"sub": "t"}).as_object().unwrap()).unwrap();
    let (other, _) = other.rsplit_once('.').unwrap();
    assert!(public.verify(other.as_bytes(), &signature).is_err());
}

/// The key of RFC 7515 appendix A.3 has a thumbprint that others have computed, too.
#[test]
fn the_name_is_the_thumbprint() {
    let scalar = URL_SAFE_NO_PAD
        .decode("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI")
        .unwrap();
    let key = AssertionKey::ecdsa(SigningKey::from_slice(&scalar).unwrap());
    assert_eq!(key.id(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
}

#[test]
fn debug_shows_nothing() {
    let key = AssertionKey::derived(&Secret::new(vec![1; 32]));
    assert_eq!(format!("{key:?}"), "AssertionKey(..)");
}

/// Verified by the code that verifies other people's tokens.
#[test]
fn the_kind_of_key_fixes_the_algorithm() {
    use crate::oidc::keys::KeySet;
    use jwt_simple::prelude::{Ed25519KeyPair, RS256KeyPair, VerificationOptions};

    let rsa = RS256KeyPair::generate(2048).unwrap().to_pem().unwrap();
    let ed25519 = Ed25519KeyPair::generate().to_pem();
    for (pem, algorithm) in [(rsa, "RS256"), (ed25519, "EdDSA")] {
        let key = AssertionKey::from_pem(pem.as_bytes()).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let claims = json!({"sub": "s", "iss": "app.test", "aud": "app.test"});
        let token = key.sign(claims.as_object().unwrap()).unwrap();
        let set = KeySet::read(key.key_set().as_bytes()).unwrap();
        let verifies = |token: &str| {
            set.candidates(algorithm, Some(key.id()))
                .any(|key| key.verify(token, VerificationOptions::default()).is_ok())
        };
        assert!(verifies(&token));
        assert!(!verifies(&token.replacen('.', ".e", 1)));
        let payload = token.split('.').nth(1).unwrap();
        let told: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        assert_eq!(told, claims);
    }
    let small = RS256KeyPair::generate(1024).map(|key| key.to_pem().unwrap());
    if let Ok(small) = small {
        assert!(error(small.as_bytes()).contains("2048"));
    }
}
