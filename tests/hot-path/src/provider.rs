//! The signing side of an identity provider.

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

/// The issuer.
pub const ISSUER: &str = "https://op.test";
/// The client id of the proxy.
pub const CLIENT: &str = "rp";

/// An identity provider, whose replies are made without a network.
pub struct Provider {
    key: SigningKey,
}

impl Provider {
    /// Creates a provider with a fixed key.
    pub fn new() -> Result<Self> {
        let key = SigningKey::from_slice(&[1; 32]).ok();
        Ok(Self {
            key: key.context("the key is none")?,
        })
    }

    /// Returns the provider's metadata.
    pub fn discovery() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": format!("{ISSUER}/authorize"),
            "token_endpoint": format!("{ISSUER}/token"),
            "jwks_uri": format!("{ISSUER}/jwks"),
        })
    }

    /// Returns the provider's keys.
    pub fn jwks(&self) -> Value {
        let point = self.key.verifying_key().to_sec1_point(false);
        let (x, y) = point.as_bytes().get(1..).unwrap_or_default().split_at(32);
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1", "x": x, "y": y}]})
    }

    /// Returns a token response for a user.
    pub fn tokens(&self, nonce: &str, now: u64) -> Value {
        let claims = json!({
            "iss": ISSUER, "sub": "s1", "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": nonce,
            "email": "bob@example.com", "email_verified": true, "groups": ["staff", "admins"],
        });
        json!({"access_token": "at", "refresh_token": "rt", "expires_in": 3600, "id_token": self.sign(&claims)})
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": "k1"});
        let [header, claims] =
            [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let input = format!("{header}.{claims}");
        let signature: Signature = self.key.sign(input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}
