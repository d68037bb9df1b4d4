//! The pinned public keys of the deployment.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;
use serde::Deserialize;

/// Most keys of a file: more than any rotation needs. Each may cost a signature check.
const MAX_KEYS: usize = 16;

const PEM_END: &str = "-----END PUBLIC KEY-----";

/// The reason why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// The file begins as JSON, but is not a key set.
    #[error("it is not a JSON Web Key Set (RFC 7517)")]
    Json,
    /// A PEM block is not a suitable key.
    #[error("it is not a P-256 public key in PEM (`-----BEGIN PUBLIC KEY-----`)")]
    Pem,
    /// The file has no suitable key.
    #[error("it has no P-256 key for ES256")]
    Empty,
    /// The file has more than [`MAX_KEYS`] keys.
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
}

/// ECDSA keys on P-256, by key id where they have one.
#[derive(Debug)]
pub(crate) struct PublicKeys(Vec<(Option<String>, VerifyingKey)>);

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
}

impl PublicKeys {
    /// Parses PEM (one or more `PUBLIC KEY` blocks) or a JSON Web Key Set, in which keys for other algorithms are
    /// skipped.
    pub(crate) fn parse(text: &str) -> Result<Self, KeysError> {
        let keys = if text.trim_start().starts_with('{') {
            from_key_set(text)?
        } else {
            from_pem(text)?
        };
        match keys.len() {
            0 => Err(KeysError::Empty),
            1..=MAX_KEYS => Ok(Self(keys)),
            _ => Err(KeysError::TooMany),
        }
    }

    /// Returns whether one of the keys verifies this signature, which is `r` and `s` in 64 bytes (RFC 7518, section
    /// 3.4).
    ///
    /// A key with an id is only tried for a token that names it, or that names no key.
    pub(crate) fn verify(&self, key_id: Option<&str>, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else {
            return false;
        };
        self.0
            .iter()
            .filter(|(id, _)| id.is_none() || key_id.is_none() || id.as_deref() == key_id)
            .any(|(_, key)| key.verify(message, &signature).is_ok())
    }
}

fn from_pem(text: &str) -> Result<Vec<(Option<String>, VerifyingKey)>, KeysError> {
    let mut blocks: Vec<&str> = text.split_inclusive(PEM_END).collect();
    blocks.retain(|block| !block.trim().is_empty());
    let key = |block: &str| {
        let key = VerifyingKey::from_public_key_pem(block.trim()).map_err(|_| KeysError::Pem)?;
        Ok((None, key))
    };
    blocks.into_iter().map(key).collect()
}

fn from_key_set(text: &str) -> Result<Vec<(Option<String>, VerifyingKey)>, KeysError> {
    let set: KeySet = serde_json::from_str(text).map_err(|_| KeysError::Json)?;
    let usable = set.keys.into_iter().filter_map(|jwk| {
        let key = jwk.verifying_key()?;
        Some((jwk.kid, key))
    });
    Ok(usable.collect())
}

impl Jwk {
    fn verifying_key(&self) -> Option<VerifyingKey> {
        let fits = self.kty == "EC"
            && self.crv.as_deref() == Some("P-256")
            && self.alg.as_deref().is_none_or(|alg| alg == "ES256")
            && self.usage.as_deref().is_none_or(|usage| usage == "sig");
        if !fits {
            return None;
        }
        let mut point = vec![4];
        for coordinate in [&self.x, &self.y] {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(coordinate.as_ref()?).ok()?;
            point.extend(bytes);
        }
        VerifyingKey::from_sec1_bytes(&point).ok()
    }
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::Signer as _;
    use p256::pkcs8::{EncodePublicKey as _, LineEnding};
    use serde_json::json;

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_slice(&[seed; 32]).unwrap()
    }

    fn jwk(seed: u8, kid: &str) -> serde_json::Value {
        let point = key(seed).verifying_key().to_sec1_point(false);
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "use": "sig",
            "x": encode(&point.as_bytes()[1..33]), "y": encode(&point.as_bytes()[33..])})
    }

    fn pem(seed: u8) -> String {
        key(seed)
            .verifying_key()
            .to_public_key_pem(LineEnding::LF)
            .unwrap()
    }

    fn signed(seed: u8) -> Vec<u8> {
        let signature: Signature = key(seed).sign(b"message");
        signature.to_bytes().to_vec()
    }

    #[test]
    fn pem_may_hold_several_keys() {
        let keys = PublicKeys::parse(&format!("{}\n{}\n", pem(1), pem(2))).unwrap();
        for seed in [1, 2] {
            assert!(keys.verify(Some("any"), b"message", &signed(seed)));
        }
        assert!(!keys.verify(None, b"message", &signed(3)));
        assert!(!keys.verify(None, b"massage", &signed(1)));
    }

    #[test]
    fn a_key_set_is_searched_by_id() {
        let set = json!({"keys": [jwk(1, "one"), jwk(2, "two"), {"kty": "OKP", "crv": "Ed25519", "x": "AA"}]});
        let keys = PublicKeys::parse(&set.to_string()).unwrap();
        assert!(keys.verify(Some("one"), b"message", &signed(1)));
        assert!(!keys.verify(Some("two"), b"message", &signed(1)));
        assert!(!keys.verify(Some("other"), b"message", &signed(1)));
        assert!(keys.verify(None, b"message", &signed(2)));
    }

    #[test]
    fn signatures_of_another_form_are_none() {
        let keys = PublicKeys::parse(&pem(1)).unwrap();
        let mut long = signed(1);
        long.push(0);
        for bytes in [&[][..], &[0; 64], &signed(1)[..63], &long] {
            assert!(!keys.verify(None, b"message", bytes));
        }
    }

    #[test]
    fn files_without_a_usable_key_are_refused() {
        let other_use = {
            let mut jwk = jwk(1, "one");
            jwk["use"] = "enc".into();
            json!({"keys": [jwk]}).to_string()
        };
        let off_curve = {
            let mut jwk = jwk(1, "one");
            jwk["y"] = jwk["x"].clone();
            json!({"keys": [jwk]}).to_string()
        };
        let many = json!({"keys": vec![jwk(1, "one"); MAX_KEYS + 1]}).to_string();
        for (text, expected) in [
            ("", "no P-256 key"),
            ("{}", "not a JSON Web Key Set"),
            (r#"{"keys": []}"#, "no P-256 key"),
            (&other_use, "no P-256 key"),
            (&off_curve, "no P-256 key"),
            (&many, "more than 16"),
            (
                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                "not a P-256 public key",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                "not a P-256 public key",
            ),
            ("hello", "not a P-256 public key"),
        ] {
            let error = PublicKeys::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
