//! A provider's keys in the hands of an attacker.

use base64::{
    Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD,
};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};

/// An RSA key of 2048 bits that is used nowhere else.
const RSA: &str = include_str!("../../../testing/rsa.pem");

/// Keys `k1` (RS256), `e1` (ES256) and `d1` (EdDSA).
pub(super) struct Forge {
    rsa: RsaKeyPair,
    pub(super) ec: SigningKey,
    ed: Ed25519KeyPair,
}

/// How a token is signed, regardless of its header.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    Rs256,
    Ps256,
    Es256,
    EdDsa,
}

impl Forge {
    pub(super) fn new() -> Self {
        Self::with_seed(1)
    }

    /// The EC and Ed25519 keys depend on the seed, the RSA key is always the same.
    pub(super) fn with_seed(seed: u8) -> Self {
        let body: String = RSA.lines().filter(|line| !line.starts_with('-')).collect();
        Self {
            rsa: RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap(),
            ec: SigningKey::from_slice(&[seed; 32]).unwrap(),
            ed: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(),
        }
    }

    pub(super) fn rsa_key(&self) -> Value {
        let public = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let (n, e) = (encode(&public.n), encode(&public.e));
        json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1", "n": n, "e": e})
    }

    pub(super) fn ec_key(&self) -> Value {
        let point = self.ec.verifying_key().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "e1", "x": encode(x), "y": encode(y)})
    }

    pub(super) fn ed_key(&self) -> Value {
        let x = encode(self.ed.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "d1", "x": x})
    }

    /// The key set of an honest provider.
    pub(super) fn key_set(&self) -> String {
        json!({"keys": [self.rsa_key(), self.ec_key(), self.ed_key()]}).to_string()
    }

    /// The RSA key in PKCS#1 form (RFC 8017 appendix A.1.1).
    pub(super) fn rsa_public_der(&self) -> &[u8] {
        self.rsa.public().as_ref()
    }

    /// The token that the provider would give.
    pub(super) fn honest(&self, claims: &Value) -> String {
        self.with_header(&json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}), claims)
    }

    /// Returns the same token, of claims that are passed by value.
    pub(super) fn honest_claims(&self, claims: Value) -> String {
        self.honest(&claims)
    }

    /// A token with this header, signed with RS256.
    pub(super) fn with_header(&self, header: &Value, claims: &Value) -> String {
        self.token(By::Rs256, &header.to_string(), &claims.to_string())
    }

    /// Signs any two strings.
    pub(super) fn token(&self, by: By, header: &str, payload: &str) -> String {
        let input = signing_input(header, payload);
        let signature = self.sign(by, input.as_bytes());
        format!("{input}.{}", encode(&signature))
    }

    pub(super) fn sign(&self, by: By, input: &[u8]) -> Vec<u8> {
        match by {
            By::Rs256 => self.sign_rsa(&RSA_PKCS1_SHA256, input),
            By::Ps256 => self.sign_rsa(&RSA_PSS_SHA256, input),
            By::Es256 => {
                let signature: Signature = self.ec.sign(input);
                signature.to_bytes().to_vec()
            }
            By::EdDsa => self.ed.sign(input).as_ref().to_vec(),
        }
    }

    fn sign_rsa(&self, encoding: &'static dyn RsaEncoding, input: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.rsa.public().modulus_len()];
        self.rsa
            .sign(encoding, &SystemRandom::new(), input, &mut signature)
            .unwrap();
        signature
    }
}

/// The first two parts of a token.
pub(super) fn signing_input(header: &str, payload: &str) -> String {
    format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(payload.as_bytes())
    )
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
