//! The key that signs ID tokens: created at the start, discarded at the end.

use jwt_simple::algorithms::{ECDSAP256KeyPairLike as _, ES256KeyPair};
use jwt_simple::claims::JWTClaims;
use serde_json::{Map, Value, json};

/// Path of the public key set (RFC 7517).
pub(super) const PATH: &str = "/jwks.json";

/// An ES256 key pair, named by its thumbprint (RFC 7638).
pub(super) struct SigningKey(ES256KeyPair);

impl SigningKey {
    pub(super) fn generate() -> Self {
        let pair = ES256KeyPair::generate();
        let id = pair.jwk_thumbprint();
        Self(pair.with_key_id(&id))
    }

    /// Returns the public key as a key set.
    pub(super) fn set(&self) -> Value {
        let mut key: Map<String, Value> =
            serde_json::from_str(&self.0.public_key().to_jwk()).unwrap_or_default();
        key.insert("use".into(), json!("sig"));
        key.insert("alg".into(), json!("ES256"));
        key.insert("kid".into(), json!(self.0.key_id()));
        json!({ "keys": [key] })
    }

    /// Signs claims as a JWT. Returns `None` if the library refuses.
    pub(super) fn sign(&self, claims: JWTClaims<Map<String, Value>>) -> Option<String> {
        self.0.sign(claims).ok()
    }
}
