//! Keys that sign any content.

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use serde_json::{Value, json};

/// An RSA key of 2048 bits that is used in tests only; generating one takes too long.
const RSA: &str = include_str!("../../../filter/core/src/testing/rsa.pem");

/// The key that signs, independently of the token's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// RSA with SHA-256 (RS256), named `k1`.
    Rsa,
    /// ECDSA on P-256 (ES256), named `e1`.
    Ec,
    /// Ed25519 (EdDSA), named `d1`.
    Ed25519,
}

/// One key of each kind.
pub struct ProviderKeys {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
    random: SystemRandom,
}

impl ProviderKeys {
    /// Generates new keys, except for the RSA key.
    ///
    /// # Errors
    /// Returns an error when the system has no random bytes to give.
    pub fn new() -> Result<Self> {
        let random = SystemRandom::new();
        let body: String = RSA.lines().filter(|line| !line.starts_with('-')).collect();
        let rsa = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(body)?)
            .map_err(|error| anyhow!("{error}"))?;
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let unspecified = |_| anyhow!("no random bytes");
        let ec = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(unspecified)?;
        let ec = EcdsaKeyPair::from_pkcs8(algorithm, ec.as_ref(), &random)
            .map_err(|error| anyhow!("{error}"))?;
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).map_err(unspecified)?;
        let ed25519 =
            Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).map_err(|error| anyhow!("{error}"))?;
        Ok(Self {
            rsa,
            ec,
            ed25519,
            random,
        })
    }

    /// Returns the public keys (JWK Set, RFC 7517).
    #[must_use]
    pub fn set(&self) -> Value {
        let rsa = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let point = self.ec.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
        json!({"keys": [
            {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1", "n": part(&rsa.n), "e": part(&rsa.e)},
            {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "e1", "x": part(x), "y": part(y)},
            {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "d1",
             "x": part(self.ed25519.public_key().as_ref())},
        ]})
    }

    /// Returns a token as an honest provider makes it.
    #[must_use]
    pub fn honest(&self, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "k1"});
        self.token(SignedBy::Rsa, &header.to_string(), &claims.to_string())
    }

    /// Returns any two strings with a signature.
    #[must_use]
    pub fn token(&self, by: SignedBy, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", part(header.as_bytes()), part(payload.as_bytes()));
        // Without random bytes there is no signature, and a scenario that needs one fails.
        let signature = self.sign(by, input.as_bytes()).unwrap_or_default();
        format!("{input}.{}", part(&signature))
    }

    fn sign(&self, by: SignedBy, input: &[u8]) -> Result<Vec<u8>> {
        match by {
            SignedBy::Rsa => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &self.random, input, &mut signature)
                    .ok()
                    .context("RSA does not sign")?;
                Ok(signature)
            }
            SignedBy::Ec => {
                let signature = self.ec.sign(&self.random, input).ok();
                Ok(signature.context("ECDSA does not sign")?.as_ref().to_vec())
            }
            SignedBy::Ed25519 => Ok(self.ed25519.sign(input).as_ref().to_vec()),
        }
    }
}

/// Encodes bytes as a part of a token.
#[must_use]
pub fn part(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
