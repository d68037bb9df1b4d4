//! J rows about key sets.

use p256::ecdsa::SigningKey;
use serde_json::{Value, json};

use super::forge::{By, Forge, encode};
use super::target::Target;
use crate::oidc::call::MAX_PROVIDER_BODY;
use crate::oidc::keys::{BadKeySet, KeySet};
use crate::oidc::provider::Absorbed;

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn with(mut key: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        key[name] = value.clone();
    }
    key
}

impl Target {
    /// A bad key set changes nothing: sessions continue, and the earlier keys are valid.
    fn keeps_keys(&mut self, what: &str, status: u16, body: &[u8]) {
        let absorbed = self.show_keys(status, body);
        assert!(
            matches!(absorbed, Absorbed::Failed(_)),
            "{what}: {absorbed:?}"
        );
        self.still_serves(what);
        self.accepts_token(what, Forge::honest_claims);
    }

    /// Adds an unusable key beside the good ones, and asserts that its signatures are refused.
    fn ignores_key(
        &mut self,
        what: &str,
        key: &Value,
        forged: impl FnOnce(&Forge, Value) -> String,
    ) {
        let keys = set(&[
            key.clone(),
            with(self.forge.ec_key(), &json!({"kid": "good"})),
        ]);
        let absorbed = self.show_keys(200, keys.as_bytes());
        assert!(matches!(absorbed, Absorbed::Ready), "{what}: {absorbed:?}");
        self.refuses_token(what, forged);
        self.accepts_token(what, |forge, claims| {
            forge.token(
                By::Es256,
                r#"{"alg":"ES256","kid":"good"}"#,
                &claims.to_string(),
            )
        });
    }
}

#[test]
fn j_16_duplicate_kid() {
    let mut target = Target::new();
    let twin = with(Forge::with_seed(9).ec_key(), &json!({"kid": "e1"}));
    let keys = set(&[target.forge.ec_key(), twin]);
    target.keeps_keys("two keys of one name", 200, keys.as_bytes());
}

#[test]
fn j_40_weak_rsa() {
    let mut target = Target::new();
    let odd = |bytes: usize| {
        let mut modulus = vec![0xc5; bytes];
        modulus[bytes - 1] = 0xc3;
        encode(&modulus)
    };
    let mut even = vec![0xc5; 256];
    even[255] = 0xc2;
    let mut longest = vec![1];
    longest.extend([0xc5; 2048]);
    for (what, changes) in [
        ("1024 bits", json!({"n": odd(128)})),
        ("512 bits", json!({"n": odd(64)})),
        ("2040 bits", json!({"n": odd(255)})),
        (
            "2040 bits and zeros",
            json!({"n": format!("AAAA{}", odd(255))}),
        ),
        ("e=1", json!({"e": "AQ"})),
        ("e=2", json!({"e": "Ag"})),
        ("e=65536", json!({"e": "AQAA"})),
        ("no e", json!({"e": ""})),
        ("e=0", json!({"e": "AA"})),
        ("e of 9 bytes", json!({"e": encode(&[1; 9])})),
        ("n=0", json!({"n": "AA"})),
        ("no n", json!({"n": ""})),
        ("an even n", json!({"n": encode(&even)})),
        ("16385 bits", json!({"n": encode(&longest)})),
    ] {
        let key = with(target.forge.rsa_key(), &changes);
        // With e=1 a signature is its own padding. Any signature will do, because the key itself is refused.
        target.ignores_key(what, &key, Forge::honest_claims);
    }
}

/// With an exponent of 3 a signature can be made without the private key, where padding is checked carelessly
/// (CVE-2006-4339). No provider has such keys; they are refused.
#[test]
fn j_40_small_exponent() {
    let key = with(Forge::new().rsa_key(), &json!({"e": "Aw"}));
    assert_eq!(
        KeySet::read(set(&[key]).as_bytes()).err(),
        Some(BadKeySet::Empty)
    );
}

#[test]
fn j_44_ec_key_edge() {
    let mut target = Target::new();
    let own = target.forge.ec_key();
    let x = own["x"].as_str().unwrap();
    for (what, changes) in [
        ("a point beside the curve", json!({"y": x})),
        (
            "the point at infinity",
            json!({"x": encode(&[0; 32]), "y": encode(&[0; 32])}),
        ),
        (
            "another curve's name",
            json!({"crv": "P-384", "alg": "ES384"}),
        ),
        ("another curve's name, alg kept", json!({"crv": "P-384"})),
        ("secp256k1", json!({"crv": "secp256k1"})),
        ("a short x", json!({"x": &x[..x.len() - 2]})),
        ("a long x", json!({"x": format!("{x}AA")})),
        ("an x with a zero in front", json!({"x": format!("AA{x}")})),
        ("no y", json!({"y": null})),
    ] {
        target.ignores_key(what, &with(own.clone(), &changes), |forge, claims| {
            forge.token(
                By::Es256,
                r#"{"alg":"ES256","kid":"e1"}"#,
                &claims.to_string(),
            )
        });
    }
}

#[test]
fn j_45_use_and_key_ops() {
    let mut target = Target::new();
    for changes in [
        json!({"use": "enc"}),
        json!({"use": ""}),
        json!({"key_ops": ["encrypt"]}),
        json!({"key_ops": []}),
        json!({"key_ops": "verify"}),
        json!({"key_ops": ["verify"], "use": "enc"}),
    ] {
        let key = with(target.forge.rsa_key(), &changes);
        target.ignores_key(&changes.to_string(), &key, Forge::honest_claims);
    }
}

#[test]
fn j_48_key_without_alg() {
    let mut target = Target::new();
    let mut key = target.forge.rsa_key();
    key.as_object_mut()
        .unwrap()
        .retain(|name, _| !matches!(name.as_str(), "alg" | "use"));
    let absorbed = target.show_keys(200, set(&[key]).as_bytes());
    assert!(matches!(absorbed, Absorbed::Ready), "{absorbed:?}");
    target.accepts_token("RS256", Forge::honest_claims);
    for (alg, by) in [("PS256", By::Ps256), ("RS384", By::Rs256)] {
        target.refuses_token(alg, |forge, claims| {
            forge.token(
                by,
                &json!({"alg": alg, "kid": "k1"}).to_string(),
                &claims.to_string(),
            )
        });
    }
}

#[test]
fn j_50_key_set_bad() {
    let mut target = Target::new();
    let good = target.forge.ec_key();
    let many: Vec<Value> = (0..20_000)
        .map(|number| with(json!({"kty": "EC"}), &json!({"kid": number})))
        .collect();
    let long = format!(
        "{{\"keys\":[],\"x\":\"{}\"}}",
        "x".repeat(MAX_PROVIDER_BODY)
    );
    let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 1000]].concat();
    for (what, status, body) in [
        ("HTML", 200, b"<html>".to_vec()),
        ("an empty object", 200, b"{}".to_vec()),
        ("keys that are no list", 200, br#"{"keys":{}}"#.to_vec()),
        ("no keys", 200, br#"{"keys":[]}"#.to_vec()),
        (
            "keys twice",
            200,
            format!(r#"{{"keys":[{good}],"keys":[]}}"#).into_bytes(),
        ),
        ("beyond the limit", 200, long.into_bytes()),
        ("20,000 keys", 200, set(&many).into_bytes()),
        ("compressed", 200, gzip),
        ("a redirect", 302, Vec::new()),
        ("a failure", 500, set(&[good]).into_bytes()),
        ("nothing", 200, Vec::new()),
        ("no answer", 0, Vec::new()),
    ] {
        target.keeps_keys(what, status, &body);
    }
}

/// Only the keys of the configured provider count: another provider's key of the same id, with the right issuer, is refused.
#[test]
fn j_53_cross_provider_kid() {
    let mut target = Target::new();
    let other = Forge::with_seed(9);
    target.refuses_token("another provider's key", |_, claims| {
        other.token(
            By::Es256,
            r#"{"alg":"ES256","kid":"e1"}"#,
            &claims.to_string(),
        )
    });
    assert_ne!(SigningKey::from_slice(&[9; 32]).unwrap(), target.forge.ec);
}
