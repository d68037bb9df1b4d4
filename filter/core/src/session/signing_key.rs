//! The key that signs assertions.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hkdf::Hkdf;
use jwt_simple::prelude::{
    Ed25519KeyPair, EdDSAKeyPairLike as _, JWTClaims, RS256KeyPair, RSAKeyPairLike as _,
};
use p256::SecretKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Longest PEM of a key that is read; a P-256 key has less than a tenth of it.
const MAX_PEM: usize = 16 * 1024;

/// Smallest RSA modulus in bytes: smaller ones can be factored (NIST SP 800-131A).
const MIN_RSA_BYTES: usize = 256;

/// A key that signs tokens and is never printed. Its kind determines the algorithm: ES256 for P-256, EdDSA for Ed25519, RS256 for
/// RSA.
pub struct AssertionKey {
    signer: Signer,
    /// The public key without its id (RFC 7517).
    jwk: Value,
    /// The key id: the thumbprint (RFC 7638), unless another one is configured.
    id: Option<String>,
}

enum Signer {
    Es256(SigningKey),
    EdDsa(Box<Ed25519KeyPair>),
    Rs256(Box<RS256KeyPair>),
}

impl AssertionKey {
    /// Reads a private key: PEM (PKCS#8, SEC 1 or PKCS#1), or the same in base64.
    ///
    /// # Errors
    /// The key cannot be used; the message repeats nothing of it.
    pub fn from_pem(text: &[u8]) -> Result<Self, String> {
        if text.len() > MAX_PEM {
            return Err(format!("the key is longer than {MAX_PEM} bytes"));
        }
        let pem = decode(text).ok_or("the key is not in PEM")?;
        if let Some(block) = find_block(&pem, "PRIVATE KEY") {
            let ecdsa = SecretKey::from_pkcs8_pem(block).ok();
            let key = ecdsa
                .map(|key| Ok(Self::ecdsa(SigningKey::from(key))))
                .or_else(|| Ed25519KeyPair::from_pem(block).ok().map(Self::ed25519))
                .or_else(|| RS256KeyPair::from_pem(block).ok().map(Self::rsa));
            key.unwrap_or_else(|| {
                Err("the key is neither one on the curve P-256 nor Ed25519 nor RSA".to_owned())
            })
        } else if let Some(block) = find_block(&pem, "EC PRIVATE KEY") {
            let key = SecretKey::from_sec1_pem(block)
                .map_err(|_| "the key is not one on the curve P-256")?;
            Ok(Self::ecdsa(SigningKey::from(key)))
        } else if let Some(block) = find_block(&pem, "RSA PRIVATE KEY") {
            let key = RS256KeyPair::from_pem(block).map_err(|_| "the RSA key is not readable")?;
            Self::rsa(key)
        } else {
            Err(describe_other_pem(&pem).to_owned())
        }
    }

    /// Derives the key from `cookie_secret`: proxies with the same secret have the same key.
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
            // One in four billion outputs is not below the order of the curve: the next one is used then.
            if let Ok(key) = SigningKey::from_slice(scalar.as_slice()) {
                return Self::ecdsa(key);
            }
            number = number.wrapping_add(1);
        }
    }

    /// Sets the key id, which the provider has assigned, or removes it.
    #[must_use]
    pub fn named(self, id: Option<String>) -> Self {
        Self { id, ..self }
    }

    fn ecdsa(key: SigningKey) -> Self {
        let point = key.verifying_key().to_sec1_point(false);
        let coordinate = |bytes: Option<&[u8]>| URL_SAFE_NO_PAD.encode(bytes.unwrap_or_default());
        // An uncompressed point is the byte 4 and two coordinates of 32 bytes (SEC 1 section 2.3.3).
        let (x, y) = (
            coordinate(point.as_bytes().get(1..33)),
            coordinate(point.as_bytes().get(33..65)),
        );
        // The members and their order are what RFC 7638 hashes.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Self {
            signer: Signer::Es256(key),
            jwk: json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}),
            id: Some(compute_thumbprint(&members)),
        }
    }

    fn ed25519(key: Ed25519KeyPair) -> Result<Self, String> {
        let x = URL_SAFE_NO_PAD.encode(key.public_key().to_bytes());
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Ok(Self {
            signer: Signer::EdDsa(Box::new(key)),
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "x": x}),
            id: Some(compute_thumbprint(&members)),
        })
    }

    fn rsa(key: RS256KeyPair) -> Result<Self, String> {
        let parts = key.public_key().to_components();
        if parts.n.len() < MIN_RSA_BYTES {
            return Err("the RSA key has fewer than 2048 bits".to_owned());
        }
        let (n, e) = (
            URL_SAFE_NO_PAD.encode(&parts.n),
            URL_SAFE_NO_PAD.encode(&parts.e),
        );
        let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        Ok(Self {
            signer: Signer::Rs256(Box::new(key)),
            jwk: json!({"kty": "RSA", "n": n, "e": e}),
            id: Some(compute_thumbprint(&members)),
        })
    }

    /// Returns the key id (`kid`); empty when the key has none.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// Returns the name of the algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1).
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match self.signer {
            Signer::Es256(_) => "ES256",
            Signer::EdDsa(_) => "EdDSA",
            Signer::Rs256(_) => "RS256",
        }
    }

    /// Returns the public key as a JSON Web Key Set (RFC 7517 section 5).
    #[must_use]
    pub fn key_set(&self) -> String {
        let mut key = self.jwk.clone();
        if let Some(members) = key.as_object_mut() {
            members.insert("alg".to_owned(), self.algorithm().into());
            members.insert("use".to_owned(), "sig".into());
            members.insert("kid".to_owned(), self.id().into());
        }
        json!({ "keys": [key] }).to_string()
    }

    /// Signs a token with these claims (RFC 7515 section 3.1); `None` when the library fails to sign. The secret number of ECDSA
    /// is derived from key and message (RFC 6979), and EdDSA needs none. RSA draws randomness of its own for blinding, which does
    /// not affect the signature.
    #[must_use]
    pub(crate) fn sign(&self, claims: &Map<String, Value>) -> Option<String> {
        match &self.signer {
            Signer::Es256(key) => Some(self.sign_ecdsa(key, "JWT", claims)),
            Signer::EdDsa(key) => match &self.id {
                Some(id) => key
                    .as_ref()
                    .clone()
                    .with_key_id(id)
                    .sign(wrap_claims(claims)),
                None => key.sign(wrap_claims(claims)),
            }
            .ok(),
            Signer::Rs256(key) => match &self.id {
                Some(id) => key
                    .as_ref()
                    .clone()
                    .with_key_id(id)
                    .sign(wrap_claims(claims)),
                None => key.sign(wrap_claims(claims)),
            }
            .ok(),
        }
    }

    /// Signs a token of another type than `JWT` (RFC 8725 section 3.11) with ES256; `None` for another kind of key.
    #[must_use]
    pub(crate) fn sign_as(&self, token_type: &str, claims: &Map<String, Value>) -> Option<String> {
        match &self.signer {
            Signer::Es256(key) => Some(self.sign_ecdsa(key, token_type, claims)),
            Signer::EdDsa(_) | Signer::Rs256(_) => None,
        }
    }

    fn sign_ecdsa(
        &self,
        key: &SigningKey,
        token_type: &str,
        claims: &Map<String, Value>,
    ) -> String {
        let mut header = json!({"alg": "ES256", "typ": token_type});
        if let (Some(id), Some(members)) = (&self.id, header.as_object_mut()) {
            members.insert("kid".to_owned(), id.as_str().into());
        }
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        let claims = serde_json::to_vec(claims).unwrap_or_default();
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature: Signature = key.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.to_bytes(), &mut token);
        token
    }
}

/// Wraps claims for the library so that it adds none.
fn wrap_claims(claims: &Map<String, Value>) -> JWTClaims<Map<String, Value>> {
    JWTClaims {
        issued_at: None,
        expires_at: None,
        invalid_before: None,
        issuer: None,
        subject: None,
        audiences: None,
        jwt_id: None,
        nonce: None,
        custom: claims.clone(),
    }
}

/// Computes the thumbprint of a key from its members (RFC 7638).
fn compute_thumbprint(members: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(members.as_bytes()))
}

impl std::fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AssertionKey(..)")
    }
}

/// Decodes a key to PEM, which may be encoded in base64.
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

/// Returns the first block with this label, with its boundaries. Other blocks may surround it, such as parameters of the curve.
fn find_block<'a>(pem: &'a str, label: &str) -> Option<&'a str> {
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let from = pem.find(&begin)?;
    let rest = pem.get(from..)?;
    let length = rest.find(&end)? + end.len();
    rest.get(..length)
}

/// Returns an error for PEM without a usable private key: what it seems to be instead.
fn describe_other_pem(pem: &str) -> &'static str {
    if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
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
