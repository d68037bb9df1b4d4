//! The provider's public keys (JWK Set, RFC 7517). Each key fixes its algorithm; what a token claims is only compared.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jwt_simple::JWTError;
use jwt_simple::prelude::{
    ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, ES256PublicKey, ES384PublicKey,
    Ed25519PublicKey, EdDSAPublicKeyLike as _, JWTClaims, PS256PublicKey, PS384PublicKey,
    PS512PublicKey, RS256PublicKey, RS384PublicKey, RS512PublicKey, RSAPublicKeyLike as _, Token,
    VerificationOptions,
};
use serde_json::Value;

use super::compact::Compact;

/// Which keys a token is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyLookup {
    /// Those that are there.
    First,
    /// Those that were fetched just now, for this token.
    Again,
}

/// More keys than this are not a provider's.
const MAX_KEYS: usize = 64;
/// How many keys of a provider are tried with one token: each costs one to three milliseconds, and anybody may send tokens.
/// A provider with more keys of one algorithm has to name the one that it signs with (OpenID Connect Core 1.0 section
/// 10.1).
pub(crate) const MAX_TRIED: usize = 8;
/// Smallest and largest RSA modulus in bytes: below, keys can be factored; above, verifying takes too long.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// The usable keys of a provider.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    /// Whether the set shows the secret half of a key, which is not used then.
    shows_secrets: bool,
}

/// One public key.
#[derive(Debug)]
pub struct Key {
    id: Option<String>,
    verifier: Verifier,
}

#[derive(Debug)]
enum Verifier {
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

/// What the keys of a provider say about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Vouched {
    /// One of them has signed it.
    Yes,
    /// None of them has.
    No,
    /// None of them is of the token's name and algorithm.
    UnknownKey,
    /// The token does not name its key, and more may be meant than are tried. None was tried.
    TooManyKeys,
}

/// A key set that is not used at all; the one before stays in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    /// Not a JWK Set.
    #[error("the key set is not usable")]
    Malformed,
    /// Two keys share a name, so that a token's `kid` means both.
    #[error("two keys of the key set have the same `kid`")]
    RepeatedId,
    /// Nothing in it is fit for verifying ID tokens.
    #[error("no key of the key set is usable")]
    Empty,
    /// Every key that would be fit is shown with its secret half.
    #[error("the key set shows the secret half of its keys, so that anybody can sign with them")]
    Secret,
}

impl KeySet {
    /// Reads a JWK Set. Keys that are of no use (another purpose, type, curve or size) are skipped.
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
        let shows_secrets = listed.iter().any(shows_secret);
        let public = listed.iter().filter(|jwk| !shows_secret(jwk));
        let keys: Vec<Key> = public.filter_map(Key::read).collect();
        for (place, key) in keys.iter().enumerate() {
            let twin = |other: &Key| other.id == key.id && other.algorithm() == key.algorithm();
            if key.id.is_some() && keys.iter().skip(place + 1).any(twin) {
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

    /// Whether the set shows the secret half of a key. Such a key vouches for nothing: anybody can sign with it.
    #[must_use]
    pub const fn shows_secrets(&self) -> bool {
        self.shows_secrets
    }

    /// Whether one of these keys has signed a token and its times hold under `options`.
    pub(crate) fn vouches(
        &self,
        token: &str,
        parts: &Compact,
        options: &VerificationOptions,
    ) -> Vouched {
        self.vouches_within(token, parts, options, MAX_TRIED)
    }

    /// The same, with at most so many signatures: when more keys may be meant, only the one that the token names is tried.
    pub(crate) fn vouches_within(
        &self,
        token: &str,
        parts: &Compact,
        options: &VerificationOptions,
        most_keys: usize,
    ) -> Vouched {
        let id = parts.key_id.as_deref();
        let mut tried: Vec<&Key> = self.candidates(&parts.algorithm, id).collect();
        if tried.is_empty() {
            return Vouched::UnknownKey;
        }
        if tried.len() > most_keys {
            // Those without a name give way to the one that is meant.
            tried.retain(|key| id.is_some() && key.id.as_deref() == id);
        }
        if tried.is_empty() {
            return Vouched::TooManyKeys;
        }
        let signed = |key: &Key| key.verify(token, options.clone()).is_ok();
        if tried.into_iter().any(signed) {
            Vouched::Yes
        } else {
            Vouched::No
        }
    }

    /// The keys that may have signed a token with this header: of this algorithm, and of this name when it has one.
    pub fn candidates<'k>(
        &'k self,
        algorithm: &'k str,
        id: Option<&'k str>,
    ) -> impl Iterator<Item = &'k Key> {
        self.keys.iter().filter(move |key| {
            let named = match (id, key.id.as_deref()) {
                (Some(wanted), Some(id)) => wanted == id,
                (Some(_), None) | (None, _) => true,
            };
            named && key.algorithm() == algorithm
        })
    }
}

impl Key {
    fn read(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|purpose| purpose != "sig") || !may_verify(jwk) {
            return None;
        }
        let bytes = |name: &str| text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let verifier = match (text("kty")?, text("crv")) {
            ("RSA", _) => rsa(text("alg").unwrap_or("RS256"), &bytes("n")?, &bytes("e")?)?,
            ("EC", Some("P-256")) if fits(text("alg"), "ES256") => Verifier::Es256(
                ES256PublicKey::from_bytes(&point::<32>(&bytes("x")?, &bytes("y")?)?).ok()?,
            ),
            ("EC", Some("P-384")) if fits(text("alg"), "ES384") => Verifier::Es384(
                ES384PublicKey::from_bytes(&point::<48>(&bytes("x")?, &bytes("y")?)?).ok()?,
            ),
            ("OKP", Some("Ed25519")) if fits(text("alg"), "EdDSA") => {
                Verifier::EdDsa(Ed25519PublicKey::from_bytes(&bytes("x")?).ok()?)
            }
            _ => return None,
        };
        Some(Self {
            id: text("kid").map(str::to_owned),
            verifier,
        })
    }

    /// The algorithm's name (RFC 7518).
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match self.verifier {
            Verifier::Rs256(_) => "RS256",
            Verifier::Rs384(_) => "RS384",
            Verifier::Rs512(_) => "RS512",
            Verifier::Ps256(_) => "PS256",
            Verifier::Ps384(_) => "PS384",
            Verifier::Ps512(_) => "PS512",
            Verifier::Es256(_) => "ES256",
            Verifier::Es384(_) => "ES384",
            Verifier::EdDsa(_) => "EdDSA",
        }
    }

    /// Verifies that the token's signature is this key's, that it holds claims, and that its times hold under `options`.
    ///
    /// # Errors
    /// See [`NotVouched`].
    pub fn verify(&self, token: &str, options: VerificationOptions) -> Result<(), NotVouched> {
        type Claims = JWTClaims<serde_json::Map<String, Value>>;
        let options = Some(options);
        let claims: Result<Claims, jwt_simple::Error> = match &self.verifier {
            Verifier::Rs256(key) => key.verify_token(token, options),
            Verifier::Rs384(key) => key.verify_token(token, options),
            Verifier::Rs512(key) => key.verify_token(token, options),
            Verifier::Ps256(key) => key.verify_token(token, options),
            Verifier::Ps384(key) => key.verify_token(token, options),
            Verifier::Ps512(key) => key.verify_token(token, options),
            Verifier::Es256(key) => key.verify_token(token, options),
            Verifier::Es384(key) => key.verify_token(token, options),
            Verifier::EdDsa(key) => key.verify_token(token, options),
        };
        claims
            .map(|_| ())
            .map_err(|error| NotVouched::from(token, &error))
    }
}

/// Why a key does not vouch for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotVouched {
    /// The signature is not this key's, or the header is not for it.
    Signature,
    /// The signature is this key's, but what is signed is no set of claims, or its times do not hold.
    Contents,
}

impl NotVouched {
    /// jwt-simple looks at the header, then at the signature, then at the claims.
    fn from(token: &str, error: &jwt_simple::Error) -> Self {
        let about_time = matches!(
            error.downcast_ref(),
            Some(
                JWTError::ClockDrift
                    | JWTError::OldTokenReused
                    | JWTError::TokenHasExpired
                    | JWTError::TokenIsTooOld
                    | JWTError::TokenNotValidYet
            )
        );
        let about_claims = error.is::<serde_json::Error>() && Token::decode_metadata(token).is_ok();
        if about_time || about_claims {
            Self::Contents
        } else {
            Self::Signature
        }
    }
}

/// Whether a key stands there with what only its owner may know (RFC 7518 sections 6.2.2, 6.3.2 and 6.4, RFC 8037).
fn shows_secret(jwk: &Value) -> bool {
    ["d", "k"].iter().any(|name| jwk.get(*name).is_some())
}

fn may_verify(jwk: &Value) -> bool {
    match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
        Some(_) => false,
    }
}

fn fits(stated: Option<&str>, algorithm: &str) -> bool {
    stated.is_none_or(|stated| stated == algorithm)
}

/// Providers may leave out `alg`; RS256 is what they mean (OpenID Connect Core 1.0 section 2).
fn rsa(algorithm: &str, modulus: &[u8], exponent: &[u8]) -> Option<Verifier> {
    let significant = modulus
        .iter()
        .position(|&byte| byte != 0)
        .map_or(0, |zeros| modulus.len() - zeros);
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let sane_exponent = exponent.len() <= 8 && odd(exponent) && exponent != [1];
    if !RSA_BYTES.contains(&significant) || !odd(modulus) || !sane_exponent {
        return None;
    }
    Some(match algorithm {
        "RS256" => Verifier::Rs256(RS256PublicKey::from_components(modulus, exponent).ok()?),
        "RS384" => Verifier::Rs384(RS384PublicKey::from_components(modulus, exponent).ok()?),
        "RS512" => Verifier::Rs512(RS512PublicKey::from_components(modulus, exponent).ok()?),
        "PS256" => Verifier::Ps256(PS256PublicKey::from_components(modulus, exponent).ok()?),
        "PS384" => Verifier::Ps384(PS384PublicKey::from_components(modulus, exponent).ok()?),
        "PS512" => Verifier::Ps512(PS512PublicKey::from_components(modulus, exponent).ok()?),
        _ => return None,
    })
}

/// An uncompressed point (SEC 1 section 2.3.3): coordinates have exactly the curve's length (RFC 7518 section 6.2.1.2).
fn point<const N: usize>(x: &[u8], y: &[u8]) -> Option<Vec<u8>> {
    (x.len() == N && y.len() == N).then(|| [&[4], x, y].concat())
}

#[cfg(test)]
mod tests;
