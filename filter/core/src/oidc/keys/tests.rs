use serde_json::json;

use super::*;
use crate::testing::FakeProvider;

fn es256(id: Option<&str>) -> Value {
    let jwks: Value = serde_json::from_str(&FakeProvider::new().jwks()).unwrap();
    let mut jwk = jwks["keys"][0].clone();
    match id {
        Some(id) => jwk["kid"] = id.into(),
        None => {
            jwk.as_object_mut().unwrap().remove("kid");
        }
    }
    jwk
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk.as_object_mut().unwrap().insert(name.to_owned(), value);
    jwk
}

fn set(keys: &[Value]) -> Result<KeySet, BadKeySet> {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes())
}

fn rsa_key(bytes: usize, exponent: &[u8]) -> Value {
    let mut modulus = vec![0xc5; bytes];
    modulus[bytes - 1] = 0xc3;
    json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": URL_SAFE_NO_PAD.encode(exponent)})
}

#[test]
fn the_accepted_algorithms_are_those_of_the_keys_that_are_read() {
    for name in ALGORITHMS {
        let keys = match name {
            "ES256" => set(&[es256(None)]),
            // The generator of the curve: any point is a key.
            "ES384" => set(&[json!({"kty": "EC", "crv": "P-384",
                "x": "qofKIr6LBTeOscce8yCtdG4dO2KLp5uYWfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3",
                "y": "NhfeSpYmLG9dnpi_kpLcKfj0Hb0omhR86doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f"})]),
            "EdDSA" => set(&[json!({"kty": "OKP", "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})]),
            name => set(&[with(rsa_key(256, &[1, 0, 1]), "alg", name.into())]),
        };
        let keys = keys.unwrap_or_else(|bad| panic!("{name}: {bad}"));
        assert_eq!(keys.keys[0].algorithm(), name);
        assert!(is_accepted_algorithm(name));
    }
    for name in ["none", "HS256", "ES256K", "ES512", "rs256", ""] {
        assert!(!is_accepted_algorithm(name), "{name}");
    }
}

#[test]
fn useless_keys_are_skipped() {
    let good = es256(Some("good"));
    for bad in [
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        json!({}),
        json!(5),
        with(es256(None), "use", json!("enc")),
        with(es256(None), "key_ops", json!(["encrypt"])),
        with(es256(None), "alg", json!("ES384")),
        with(es256(None), "x", json!("AAAA")),
        with(es256(None), "y", good["x"].clone()),
        rsa_key(128, &[1, 0, 1]),
        rsa_key(2000, &[1, 0, 1]),
        rsa_key(256, &[1]),
        rsa_key(256, &[2]),
    ] {
        let set = set(&[bad.clone(), good.clone()]).unwrap();
        assert_eq!(set.keys.len(), 1, "{bad}");
    }
}

/// N-21: anyone can sign with a key whose secret half is published.
#[test]
fn n_21_keys_that_show_their_secret_are_not_used() {
    let good = es256(Some("good"));
    for shown in [
        with(es256(Some("shown")), "d", json!("AAAA")),
        with(es256(Some("shown")), "d", json!(null)),
        with(rsa_key(256, &[1, 0, 1]), "d", json!("AAAA")),
        json!({"kty": "oct", "k": "AAAA"}),
    ] {
        let kept = set(&[shown.clone(), good.clone()]).unwrap();
        assert!(kept.shows_secrets(), "{shown}");
        let names: Vec<_> = kept.keys.iter().map(|key| key.id.as_deref()).collect();
        assert_eq!(names, [Some("good")], "{shown}");
        assert_eq!(set(&[shown]).unwrap_err(), BadKeySet::Secret);
    }
    assert!(!set(&[good]).unwrap().shows_secrets());
}

#[test]
fn bad_sets_are_refused_whole() {
    assert_eq!(set(&[]).unwrap_err(), BadKeySet::Empty);
    assert_eq!(
        set(&[es256(Some("k")), es256(Some("k"))]).unwrap_err(),
        BadKeySet::RepeatedId
    );
    assert_eq!(
        set(&vec![json!({}); MAX_KEYS + 1]).unwrap_err(),
        BadKeySet::Malformed
    );
    for body in [
        "",
        "<html>",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[],"keys":[]}"#,
    ] {
        assert_eq!(
            KeySet::read(body.as_bytes()).unwrap_err(),
            BadKeySet::Malformed,
            "{body}"
        );
    }
}

#[test]
fn candidates_by_name_and_algorithm() {
    let set = set(&[es256(Some("a")), es256(None), rsa_key(256, &[1, 0, 1])]).unwrap();
    assert_eq!(
        set.candidates("ES256", Some("a")).count(),
        2,
        "a key without an id matches every `kid`"
    );
    assert_eq!(set.candidates("ES256", Some("b")).count(), 1);
    assert_eq!(set.candidates("ES256", None).count(), 2);
    assert_eq!(
        set.candidates("RS256", None).count(),
        1,
        "a key without `alg` is for RS256"
    );
    assert_eq!(
        set.candidates("HS256", None).count() + set.candidates("none", None).count(),
        0
    );
}
