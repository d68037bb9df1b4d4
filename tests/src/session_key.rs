//! A deployment's signing key, and assertions for Cockpit's login as its proxy creates them.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};

use crate::COCKPIT;

/// A signing key, for tests without a proxy.
pub struct SessionKey(SigningKey);

impl SessionKey {
    /// Generates a key.
    ///
    /// # Errors
    /// Returns an error when the system has no random bytes to give.
    pub fn draw() -> Result<Self> {
        Ok(Self(SigningKey::from_slice(&random::<32>()?)?))
    }

    /// Returns the public key in PEM.
    ///
    /// # Errors
    /// Every key can be written.
    pub fn public_pem(&self) -> Result<String> {
        Ok(self.0.verifying_key().to_public_key_pem(LineEnding::LF)?)
    }

    /// Returns the private key in PEM, for `signing_key`.
    ///
    /// # Errors
    /// Every key can be written.
    pub fn private_pem(&self) -> Result<String> {
        Ok(self.0.to_pkcs8_pem(LineEnding::LF)?.to_string())
    }

    /// Returns an assertion for a Unix account at the host [`COCKPIT`].
    ///
    /// # Errors
    /// Returns an error when the system has no random bytes to give.
    pub fn assertion(&self, user: &str) -> Result<String> {
        self.assertion_with(user, |_, _| ())
    }

    /// Returns such an assertion after a change of its header and claims.
    ///
    /// # Errors
    /// Returns an error when the system has no random bytes to give.
    pub fn assertion_with(
        &self,
        user: &str,
        change: impl FnOnce(&mut Value, &mut Value),
    ) -> Result<String> {
        let now = unix_time()?;
        let mut header = json!({"alg": "ES256", "typ": "jetway-cockpit+jwt"});
        let mut claims = json!({
            "iss": format!("https://{COCKPIT}/"), "aud": COCKPIT, "sub": "subject", "email": "alice@example.com",
            "user": user, "iat": now, "nbf": now, "exp": now + 60, "jti": encode(&random::<16>()?),
            "sid": encode(&random::<16>()?), "session_exp": now + 3600, "rhost": "203.0.113.9",
        });
        change(&mut header, &mut claims);
        let message = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.to_string().as_bytes())
        );
        let signature: Signature = self.0.sign(message.as_bytes());
        Ok(format!("{message}.{}", encode(&signature.to_bytes())))
    }
}

/// Returns the time in Unix seconds.
fn unix_time() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
