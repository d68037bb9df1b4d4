//! The provider's public keys (JWK Set, RFC 7517). Each key has one algorithm, and a token's `alg` is only compared with
//! it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jwt_simple::JWTError;
use jwt_simple::prelude::{
    ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, ES256PublicKey, ES384PublicKey,
    Ed25519PublicKey, EdDSAPublicKeyLike as _, JWTClaims, PS256PublicKey, PS384PublicKey,
    PS512PublicKey, RS256PublicKey, RS384PublicKey, RS512PublicKey, RSAPublicKeyLike as _, Token,
    VerificationOptions,
};
use serde_json::Value;

use crate::oidc::compact::Compact;
use crate::refusal::TokenProblem;

/// Most keys that a key set may have.
const MAX_KEYS: usize = 64;
/// How many keys are tried with one token: each costs one to three milliseconds, and any client may send tokens. A
/// provider with more keys of one algorithm has to name the one that it signs with (OpenID Connect Core 1.0 section
/// 10.1).
pub(crate) const MAX_TRIED: usize = 8;
/// Smallest and largest RSA modulus in bytes. Smaller ones can be factored, and larger ones take too long to verify with.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// The algorithms of keys that are used (RFC 7518, RFC 8037).
const ALGORITHMS: [&str; 9] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

/// Returns whether tokens may be signed with this algorithm.
#[must_use]
pub fn is_accepted_algorithm(name: &str) -> bool {
    ALGORITHMS.contains(&name)
}

/// The usable keys of a provider.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<ProviderKey>,
    /// Whether the set publishes the secret half of a key.
    shows_secrets: bool,
}

/// One public key.
#[derive(Debug)]
pub struct ProviderKey {
    id: Option<String>,
    public: PublicKey,
}

#[derive(Debug)]
enum PublicKey {
    Rs256(RS256PublicKey),
    Rs384(RS384PublicKey),
    Rs512(RS512PublicKey),
    Ps256(PS256PublicKey),
    Ps384(PS384PublicKey),
    Ps512(PS512PublicKey),
    Es256(ES256PublicKey),
    Es384(ES384PublicKey),
    EdDsa(Ed25519PublicKey),
}

/// Why the keys of a provider do not verify a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureProblem {
    /// None of the keys has signed the token.
    Mismatch,
    /// None of the keys has the token's `kid` and `alg`.
    UnknownKey,
    /// The token does not name its key, and more keys match than are tried. None was tried.
    TooManyKeys,
}

impl From<SignatureProblem> for TokenProblem {
    fn from(problem: SignatureProblem) -> Self {
        match problem {
            SignatureProblem::Mismatch => Self::Signature,
            SignatureProblem::UnknownKey => Self::UnknownKey,
            SignatureProblem::TooManyKeys => Self::TooManyKeys,
        }
    }
}

/// Why a key set is not usable. The previous one stays in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    /// The document is not a JWK Set, or has too many keys.
    #[error("the key set is not a JWK Set of at most 64 keys")]
    Malformed,
    /// Two keys of one algorithm have the same `kid`.
    #[error("two keys of the key set have the same `kid`")]
    RepeatedId,
    /// No key can verify ID tokens.
    #[error("no key of the key set can verify tokens")]
    Empty,
    /// Every key that could verify ID tokens is published with its secret half.
    #[error("the key set publishes the secret half of its keys, so that anyone can sign with them")]
    Secret,
}

impl KeySet {
    /// Reads a JWK Set. Keys of another use, type, curve or size are skipped.
    ///
    /// # Errors
    /// See [`BadKeySet`].
    pub fn read(body: &[u8]) -> Result<Self, BadKeySet> {
        let document = crate::json::parse(body).map_err(|_| BadKeySet::Malformed)?;
        let listed = document
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(BadKeySet::Malformed)?;
        if listed.len() > MAX_KEYS {
            return Err(BadKeySet::Malformed);
        }
        let shows_secrets = listed.iter().any(has_secret_half);
        let public = listed.iter().filter(|jwk| !has_secret_half(jwk));
        let keys: Vec<ProviderKey> = public.filter_map(ProviderKey::read).collect();
        for (place, key) in keys.iter().enumerate() {
            let is_twin =
                |other: &ProviderKey| other.id == key.id && other.algorithm() == key.algorithm();
            if key.id.is_some() && keys.iter().skip(place + 1).any(is_twin) {
                return Err(BadKeySet::RepeatedId);
            }
        }
        match (keys.is_empty(), shows_secrets) {
            (true, true) => Err(BadKeySet::Secret),
            (true, false) => Err(BadKeySet::Empty),
            (false, _) => Ok(Self {
                keys,
                shows_secrets,
            }),
        }
    }

    /// Whether the set publishes the secret half of a key. Such a key is not used: anyone can sign with it.
    #[must_use]
    pub const fn shows_secrets(&self) -> bool {
        self.shows_secrets
    }

    /// Checks that one of these keys has signed a token and that its times are valid under `options`.
    ///
    /// # Errors
    /// See [`SignatureProblem`].
    pub(crate) fn check_signature(
        &self,
        token: &str,
        parts: &Compact,
        options: &VerificationOptions,
    ) -> Result<(), SignatureProblem> {
        self.check_signature_within(MAX_TRIED, token, parts, options)
    }

    /// Checks like [`KeySet::check_signature`], with at most `most_keys` keys. When more keys match, only the one that
    /// the token names is tried.
    ///
    /// # Errors
    /// See [`SignatureProblem`].
    pub(crate) fn check_signature_within(
        &self,
        most_keys: usize,
        token: &str,
        parts: &Compact,
        options: &VerificationOptions,
    ) -> Result<(), SignatureProblem> {
        let id = parts.key_id.as_deref();
        let mut tried: Vec<&ProviderKey> = self.candidates(&parts.algorithm, id).collect();
        if tried.is_empty() {
            return Err(SignatureProblem::UnknownKey);
        }
        if tried.len() > most_keys {
            // Keys without an id give way to the one that the token names.
            tried.retain(|key| id.is_some() && key.id.as_deref() == id);
        }
        if tried.is_empty() {
            return Err(SignatureProblem::TooManyKeys);
        }
        let has_signed = |key: &ProviderKey| key.verify(token, options.clone()).is_ok();
        if tried.into_iter().any(has_signed) {
            Ok(())
        } else {
            Err(SignatureProblem::Mismatch)
        }
    }

    /// Returns the algorithm and the id of each key, in one string for the log.
    pub(crate) fn describe_keys(&self) -> String {
        let describe_key = |key: &ProviderKey| match &key.id {
            Some(id) => format!("{}:{id}", key.algorithm()),
            None => key.algorithm().to_owned(),
        };
        let keys: Vec<String> = self.keys.iter().map(describe_key).collect();
        keys.join(" ")
    }

    /// Returns the keys that may have signed a token with this `alg` and `kid`. A key without an id matches any `kid`.
    pub fn candidates<'k>(
        &'k self,
        algorithm: &'k str,
        id: Option<&'k str>,
    ) -> impl Iterator<Item = &'k ProviderKey> {
        self.keys.iter().filter(move |key| {
            let is_named = match (id, key.id.as_deref()) {
                (Some(wanted), Some(id)) => wanted == id,
                (Some(_), None) | (None, _) => true,
            };
            is_named && key.algorithm() == algorithm
        })
    }
}

impl ProviderKey {
    fn read(jwk: &Value) -> Option<Self> {
        let string = |name: &str| jwk.get(name).and_then(Value::as_str);
        if string("use").is_some_and(|purpose| purpose != "sig") || !can_verify(jwk) {
            return None;
        }
        let bytes = |name: &str| string(name).and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
        let algorithm = string("alg");
        let public = match (string("kty")?, string("crv")) {
            ("RSA", _) => read_rsa_key(algorithm.unwrap_or("RS256"), &bytes("n")?, &bytes("e")?)?,
            ("EC", Some("P-256")) if is_algorithm(algorithm, "ES256") => PublicKey::Es256(
                ES256PublicKey::from_bytes(&encode_point::<32>(&bytes("x")?, &bytes("y")?)?)
                    .ok()?,
            ),
            ("EC", Some("P-384")) if is_algorithm(algorithm, "ES384") => PublicKey::Es384(
                ES384PublicKey::from_bytes(&encode_point::<48>(&bytes("x")?, &bytes("y")?)?)
                    .ok()?,
            ),
            ("OKP", Some("Ed25519")) if is_algorithm(algorithm, "EdDSA") => {
                PublicKey::EdDsa(Ed25519PublicKey::from_bytes(&bytes("x")?).ok()?)
            }
            _ => return None,
        };
        Some(Self {
            id: string("kid").map(str::to_owned),
            public,
        })
    }

    /// Returns the algorithm's name (RFC 7518).
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match self.public {
            PublicKey::Rs256(_) => "RS256",
            PublicKey::Rs384(_) => "RS384",
            PublicKey::Rs512(_) => "RS512",
            PublicKey::Ps256(_) => "PS256",
            PublicKey::Ps384(_) => "PS384",
            PublicKey::Ps512(_) => "PS512",
            PublicKey::Es256(_) => "ES256",
            PublicKey::Es384(_) => "ES384",
            PublicKey::EdDsa(_) => "EdDSA",
        }
    }

    /// Verifies that the token is signed by this key, that it contains claims, and that its times are valid under
    /// `options`.
    ///
    /// # Errors
    /// See [`KeyMismatch`].
    pub fn verify(&self, token: &str, options: VerificationOptions) -> Result<(), KeyMismatch> {
        type SignedClaims = JWTClaims<serde_json::Map<String, Value>>;
        let options = Some(options);
        let claims: Result<SignedClaims, jwt_simple::Error> = match &self.public {
            PublicKey::Rs256(key) => key.verify_token(token, options),
            PublicKey::Rs384(key) => key.verify_token(token, options),
            PublicKey::Rs512(key) => key.verify_token(token, options),
            PublicKey::Ps256(key) => key.verify_token(token, options),
            PublicKey::Ps384(key) => key.verify_token(token, options),
            PublicKey::Ps512(key) => key.verify_token(token, options),
            PublicKey::Es256(key) => key.verify_token(token, options),
            PublicKey::Es384(key) => key.verify_token(token, options),
            PublicKey::EdDsa(key) => key.verify_token(token, options),
        };
        claims
            .map(|_| ())
            .map_err(|error| KeyMismatch::of(token, &error))
    }
}

/// Why a key does not verify a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMismatch {
    /// The signature is not this key's, or the header names another algorithm or key.
    Signature,
    /// The signature is this key's, but the payload is not a set of claims, or its times are not valid.
    Contents,
}

impl KeyMismatch {
    /// Reads the reason out of an error. jwt-simple checks the header, then the signature, then the claims.
    fn of(token: &str, error: &jwt_simple::Error) -> Self {
        let is_about_time = matches!(
            error.downcast_ref(),
            Some(
                JWTError::ClockDrift
                    | JWTError::OldTokenReused
                    | JWTError::TokenHasExpired
                    | JWTError::TokenIsTooOld
                    | JWTError::TokenNotValidYet
            )
        );
        let is_about_claims =
            error.is::<serde_json::Error>() && Token::decode_metadata(token).is_ok();
        if is_about_time || is_about_claims {
            Self::Contents
        } else {
            Self::Signature
        }
    }
}

/// Whether a key is published with its secret half (RFC 7518 sections 6.2.2, 6.3.2 and 6.4, RFC 8037).
fn has_secret_half(jwk: &Value) -> bool {
    ["d", "k"].iter().any(|name| jwk.get(*name).is_some())
}

fn can_verify(jwk: &Value) -> bool {
    match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
        Some(_) => false,
    }
}

fn is_algorithm(stated: Option<&str>, algorithm: &str) -> bool {
    stated.is_none_or(|stated| stated == algorithm)
}

/// Reads an RSA key. A provider that leaves out `alg` means RS256 (OpenID Connect Core 1.0 section 2).
fn read_rsa_key(algorithm: &str, modulus: &[u8], exponent: &[u8]) -> Option<PublicKey> {
    let significant = modulus
        .iter()
        .position(|&byte| byte != 0)
        .map_or(0, |zeros| modulus.len() - zeros);
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let is_sane_exponent = exponent.len() <= 8 && is_odd(exponent) && exponent != [1];
    if !RSA_BYTES.contains(&significant) || !is_odd(modulus) || !is_sane_exponent {
        return None;
    }
    Some(match algorithm {
        "RS256" => PublicKey::Rs256(RS256PublicKey::from_components(modulus, exponent).ok()?),
        "RS384" => PublicKey::Rs384(RS384PublicKey::from_components(modulus, exponent).ok()?),
        "RS512" => PublicKey::Rs512(RS512PublicKey::from_components(modulus, exponent).ok()?),
        "PS256" => PublicKey::Ps256(PS256PublicKey::from_components(modulus, exponent).ok()?),
        "PS384" => PublicKey::Ps384(PS384PublicKey::from_components(modulus, exponent).ok()?),
        "PS512" => PublicKey::Ps512(PS512PublicKey::from_components(modulus, exponent).ok()?),
        _ => return None,
    })
}

/// Encodes an uncompressed point (SEC 1 section 2.3.3). Its coordinates have to have exactly the curve's length (RFC 7518
/// section 6.2.1.2).
fn encode_point<const N: usize>(x: &[u8], y: &[u8]) -> Option<Vec<u8>> {
    (x.len() == N && y.len() == N).then(|| [&[4], x, y].concat())
}

#[cfg(test)]
mod tests;
