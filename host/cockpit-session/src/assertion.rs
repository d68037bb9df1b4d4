//! The proxy's assertion about the user who signs in: a JSON Web Token of its own type, for one login.
//!
//! The proxy sends it in the `Authorization` header of Cockpit's login request. It is a JWS in compact form, signed
//! with ES256 by the deployment's signing key, whose public key is at `https://HOST/.well-known/pomerium/jwks.json`.
//!
//! | header | |
//! | --- | --- |
//! | `alg` | [`ALGORITHM`] |
//! | `typ` | [`TYPE`]; the assertion that upstreams get is of another type, so that none of them can log in with it |
//! | `kid` | which key, where the pinned keys have ids |
//!
//! | claim | |
//! | --- | --- |
//! | `iss` | `https://HOST/` |
//! | `aud` | `HOST`, the public host of the route without port; one string |
//! | `sub` | the subject at the provider, for the log |
//! | `email` | may be missing; for the log |
//! | `user` | name of the Unix account |
//! | `administrator` | may be missing; whether the session gets administrative access |
//! | `iat`, `nbf`, `exp` | Unix seconds; `exp` is at most [`MAX_LIFETIME`] after `iat` |
//! | `jti` | random; a token is accepted once |
//! | `sid` | the session at the proxy; not used here |
//! | `session_exp` | Unix seconds; the Cockpit session ends ten seconds later |
//! | `rhost` | may be missing; the client's IP address, for PAM |

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::public_keys::PublicKeys;

/// The only accepted algorithm.
pub(crate) const ALGORITHM: &str = "ES256";

/// Type of the token (RFC 8725, section 3.11).
pub(crate) const TYPE: &str = "jetway-cockpit+jwt";

/// Longest time between `iat` and `exp`, in seconds.
pub(crate) const MAX_LIFETIME: u64 = 60;

/// Largest accepted difference between this server's clock and the proxy's, in seconds.
pub(crate) const LEEWAY: u64 = 10;

/// Longest token in bytes: a token with generous claims has one thousand.
const MAX_TOKEN: usize = 8 * 1024;

/// Longest string claim in bytes.
const MAX_TEXT: usize = 1024;

/// The reason why an assertion is refused. No part of the token is in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AssertionError {
    /// The token is longer than [`MAX_TOKEN`].
    #[error("it is longer than {MAX_TOKEN} bytes")]
    TooLong,
    /// The token is not three parts of base64url with JSON in them.
    #[error("it is not a signed JSON Web Token")]
    Form,
    /// `alg` has another value.
    #[error("it is not signed with {ALGORITHM}")]
    Algorithm,
    /// `typ` is something else.
    #[error("its type is not `{TYPE}`")]
    Type,
    /// `crit` is present, but no extension is supported.
    #[error("it has critical extensions")]
    Critical,
    /// No pinned key verifies the signature.
    #[error(
        "its signature is not made with a pinned key: compare `keys_file` with the proxy's /.well-known/pomerium/jwks.json"
    )]
    Signature,
    /// A claim is missing or malformed.
    #[error("a claim is missing or malformed")]
    Claims,
    /// The token is for another host.
    #[error("it is for another host: compare `host` with the route's `from`")]
    Audience,
    /// The token is from another host.
    #[error("its issuer is not the host that it is for")]
    Issuer,
    /// `exp` is too far from `iat`.
    #[error("it is valid for longer than {MAX_LIFETIME} seconds")]
    Lifetime,
    /// `exp` has passed.
    #[error(
        "it expired {0} seconds ago: the login took long, or this server's clock differs from the proxy's"
    )]
    Expired(u64),
    /// `nbf` or `iat` is in the future.
    #[error("it becomes valid in {0} seconds: this server's clock differs from the proxy's")]
    NotYet(u64),
    /// The session at the proxy has ended.
    #[error("the session at the proxy has ended")]
    SessionEnded,
    /// The token was used before.
    #[error("it has been used before")]
    Replayed,
}

/// A verified assertion that has not been used up.
#[derive(Debug)]
pub(crate) struct Assertion {
    /// Name of the Unix account.
    pub(crate) user: String,
    /// Whether the session gets administrative access by the proxy's policy.
    pub(crate) administrator: bool,
    /// Subject at the provider.
    pub(crate) subject: String,
    /// Email address, if the provider gives one.
    pub(crate) email: Option<String>,
    /// Random identifier.
    pub(crate) id: String,
    /// When the session at the proxy ends.
    pub(crate) session_ends: SystemTime,
    /// Address of the client.
    pub(crate) remote_host: Option<IpAddr>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    email: Option<String>,
    user: String,
    /// An assertion without the claim gives no more than the account has.
    #[serde(default)]
    administrator: bool,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: String,
    session_exp: u64,
    rhost: Option<IpAddr>,
}

impl Assertion {
    /// Verifies a token for one of `hosts` at `now`, in Unix seconds. Claims are read after the signature has been
    /// verified.
    pub(crate) fn verify(
        token: &str,
        keys: &PublicKeys,
        hosts: &[String],
        now: u64,
    ) -> Result<Self, AssertionError> {
        let claims: Claims = verified_claims(token, keys)?;
        if !hosts.contains(&claims.aud) {
            return Err(AssertionError::Audience);
        }
        if claims.iss != format!("https://{}/", claims.aud) {
            return Err(AssertionError::Issuer);
        }
        claims.check_times(now)?;
        claims.check_strings()?;
        let session_ends = UNIX_EPOCH.checked_add(Duration::from_secs(claims.session_exp));
        Ok(Self {
            user: claims.user,
            administrator: claims.administrator,
            subject: claims.sub,
            email: claims.email,
            id: claims.jti,
            session_ends: session_ends.ok_or(AssertionError::Claims)?,
            remote_host: claims.rhost,
        })
    }
}

impl Claims {
    fn check_times(&self, now: u64) -> Result<(), AssertionError> {
        match self.exp.checked_sub(self.iat) {
            None => return Err(AssertionError::Claims),
            Some(lifetime) if lifetime > MAX_LIFETIME => return Err(AssertionError::Lifetime),
            Some(_) => {}
        }
        let begins = self.iat.max(self.nbf);
        if begins > now.saturating_add(LEEWAY) {
            return Err(AssertionError::NotYet(begins.saturating_sub(now)));
        }
        if self.exp.saturating_add(LEEWAY) <= now {
            return Err(AssertionError::Expired(now.saturating_sub(self.exp)));
        }
        if self.session_exp <= now {
            return Err(AssertionError::SessionEnded);
        }
        Ok(())
    }

    fn check_strings(&self) -> Result<(), AssertionError> {
        let mut texts = [&self.sub, &self.user, &self.jti]
            .into_iter()
            .chain(&self.email);
        if self.user.is_empty() || self.jti.is_empty() || texts.any(|text| text.len() > MAX_TEXT) {
            return Err(AssertionError::Claims);
        }
        Ok(())
    }
}

fn verified_claims<T: DeserializeOwned>(
    token: &str,
    keys: &PublicKeys,
) -> Result<T, AssertionError> {
    if token.len() > MAX_TOKEN {
        return Err(AssertionError::TooLong);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(AssertionError::Form)?;
    let (header, payload) = message.split_once('.').ok_or(AssertionError::Form)?;
    let header: Header =
        serde_json::from_slice(&decode(header)?).map_err(|_| AssertionError::Form)?;
    if header.alg != ALGORITHM {
        return Err(AssertionError::Algorithm);
    }
    if header.typ != TYPE {
        return Err(AssertionError::Type);
    }
    if header.crit.is_some() {
        return Err(AssertionError::Critical);
    }
    if !keys.verify(
        header.kid.as_deref(),
        message.as_bytes(),
        &decode(signature)?,
    ) {
        return Err(AssertionError::Signature);
    }
    serde_json::from_slice(&decode(payload)?).map_err(|_| AssertionError::Claims)
}

fn decode(part: &str) -> Result<Vec<u8>, AssertionError> {
    BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| AssertionError::Form)
}

#[cfg(test)]
mod tests;
