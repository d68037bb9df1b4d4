//! The key that signs assertions.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hkdf::Hkdf;
use p256::SecretKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::config::Secret;

/// Longest text of a key that is looked at; a P-256 key has less than a tenth of it.
const MAX_PEM: usize = 16 * 1024;

/// A key that signs assertions by ES256 (ECDSA on P-256 with SHA-256, RFC 7518 section 3.4); never printed.
pub struct AssertionKey {
    key: SigningKey,
    /// The public key without its name (RFC 7517).
    jwk: Value,
    /// Name of the key: its thumbprint (RFC 7638).
    id: String,
    /// The first part of every token of this key, with its dot.
    header: String,
}

impl AssertionKey {
    /// Reads a private key: PEM (PKCS#8 or SEC 1), or the same in base64.
    ///
    /// # Errors
    /// What is wrong with it; nothing of the text is repeated.
    pub fn from_pem(text: &[u8]) -> Result<Self, String> {
        if text.len() > MAX_PEM {
            return Err(format!("the key is longer than {MAX_PEM} bytes"));
        }
        let pem = decode(text).ok_or("the key is not in PEM")?;
        let key = if let Some(block) = block(&pem, "PRIVATE KEY") {
            SecretKey::from_pkcs8_pem(block).ok()
        } else if let Some(block) = block(&pem, "EC PRIVATE KEY") {
            SecretKey::from_sec1_pem(block).ok()
        } else {
            return Err(what_else(&pem).to_owned());
        };
        let key = key.ok_or("the key is not one on the curve P-256")?;
        Ok(Self::new(SigningKey::from(key)))
    }

    /// The key that follows from `cookie_secret`, the same wherever the secret is the same.
    #[must_use]
    pub fn derived(secret: &Secret) -> Self {
        let ring = Hkdf::<Sha256>::new(Some(b"jetway assertion key"), secret.expose());
        let mut number = 0_u32;
        loop {
            let mut scalar = Zeroizing::new([0; 32]);
            // HKDF refuses only outputs above 255 hash lengths.
            if ring
                .expand(&number.to_be_bytes(), scalar.as_mut_slice())
                .is_err()
            {
                unreachable!("one hash length");
            }
            // One in four billion texts is no number below the curve's order: the next one is then taken.
            if let Ok(key) = SigningKey::from_slice(scalar.as_slice()) {
                return Self::new(key);
            }
            number = number.wrapping_add(1);
        }
    }

    fn new(key: SigningKey) -> Self {
        let point = key.verifying_key().to_sec1_point(false);
        let coordinate = |bytes: Option<&[u8]>| URL_SAFE_NO_PAD.encode(bytes.unwrap_or_default());
        // An uncompressed point is the byte 4 and two coordinates of 32 bytes (SEC 1 section 2.3.3).
        let (x, y) = (
            coordinate(point.as_bytes().get(1..33)),
            coordinate(point.as_bytes().get(33..65)),
        );
        // The members and their order are what RFC 7638 hashes.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(members.as_bytes()));
        Self {
            key,
            jwk: json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}),
            header: header("JWT", &id),
            id,
        }
    }

    /// Name of the key (`kid`).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key as a JSON Web Key Set (RFC 7517 section 5).
    #[must_use]
    pub fn key_set(&self) -> String {
        let mut key = self.jwk.clone();
        if let Some(members) = key.as_object_mut() {
            members.insert("alg".to_owned(), "ES256".into());
            members.insert("use".to_owned(), "sig".into());
            members.insert("kid".to_owned(), self.id.as_str().into());
        }
        json!({ "keys": [key] }).to_string()
    }

    /// A token with these claims (RFC 7515 section 3.1). The signature's secret number follows from key and text
    /// (RFC 6979), so that signing needs no randomness.
    #[must_use]
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.complete(self.header.clone(), claims)
    }

    /// A token of another type than `JWT` (RFC 8725 section 3.11).
    #[must_use]
    pub(crate) fn sign_as(&self, token_type: &str, claims: &Value) -> String {
        self.complete(header(token_type, &self.id), claims)
    }

    fn complete(&self, mut token: String, claims: &Value) -> String {
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        let signature: Signature = self.key.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.to_bytes(), &mut token);
        token
    }
}

impl std::fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AssertionKey(..)")
    }
}

/// The first part of a token, with its dot.
fn header(token_type: &str, key: &str) -> String {
    let header = json!({"alg": "ES256", "typ": token_type, "kid": key}).to_string();
    format!("{}.", URL_SAFE_NO_PAD.encode(header))
}

/// The PEM text, which may be in base64 once more.
fn decode(text: &[u8]) -> Option<Zeroizing<String>> {
    const BEGIN: &str = "-----BEGIN ";
    let plain = std::str::from_utf8(text).ok()?;
    if plain.contains(BEGIN) {
        return Some(Zeroizing::new(plain.to_owned()));
    }
    let mut packed = Zeroizing::new(text.to_vec());
    packed.retain(|byte| !byte.is_ascii_whitespace());
    let mut unpacked = Zeroizing::new(STANDARD.decode(packed.as_slice()).ok()?);
    let pem = String::from_utf8(std::mem::take(&mut *unpacked)).ok()?;
    let pem = Zeroizing::new(pem);
    pem.contains(BEGIN).then_some(pem)
}

/// The first block with this label, its boundaries included: other blocks, such as parameters of the curve, may stand
/// around it.
fn block<'a>(pem: &'a str, label: &str) -> Option<&'a str> {
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let from = pem.find(&begin)?;
    let rest = pem.get(from..)?;
    let length = rest.find(&end)? + end.len();
    rest.get(..length)
}

/// What a PEM text without a usable private key seems to be.
fn what_else(pem: &str) -> &'static str {
    if pem.contains("-----BEGIN RSA PRIVATE KEY-----") {
        "an RSA key cannot be used"
    } else if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        "an encrypted key cannot be used"
    } else if pem.contains("-----BEGIN PUBLIC KEY-----") {
        "this is a public key"
    } else if pem.contains("-----BEGIN CERTIFICATE-----") {
        "this is a certificate"
    } else {
        "there is no private key in it"
    }
}

#[cfg(test)]
mod tests;
