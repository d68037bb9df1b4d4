//! Logout tokens: the provider's notice that one of its sessions has ended (OpenID Connect Back-Channel Logout 1.0 section
//! 2.4).

use serde_json::{Map, Value};

use crate::limits::LEEWAY;
use crate::oidc::claims::{MAX_SUBJECT, has_control, read_seconds, verification_options};
use crate::oidc::compact::Compact;
use crate::oidc::keys::{KeySet, SignatureProblem};
use crate::oidc::metadata::is_issuer;
use crate::time::Timestamp;

/// Longest age of a logout token in seconds. A logout token is sent right after it is issued: the specification
/// recommends a lifetime of at most two minutes, and some providers write no `exp`.
const MAX_AGE: u64 = 300;
/// For how many seconds a token has to be remembered, so that it is used once only.
pub const MEMORY: u64 = MAX_AGE + 2 * LEEWAY;
/// Longest `sid` and `jti`. Providers write random ids of some forty characters.
pub const MAX_ID: usize = 255;
/// The member of `events` that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A verified logout token. It names a session, a user or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutToken {
    /// The token's id (`jti`).
    pub id: String,
    /// The session that has ended (`sid`).
    pub session: Option<String>,
    /// The user of that session (`sub`). Without a session all of the user's sessions have ended.
    pub subject: Option<String>,
}

/// The values that a logout token has to agree with.
#[derive(Debug)]
pub struct ExpectedLogout<'a> {
    /// The provider's issuer, as its discovery document writes it.
    pub issuer: &'a str,
    /// This proxy's client id.
    pub client_id: &'a str,
    /// The time of the decision.
    pub now: Timestamp,
    /// How many of the provider's keys may be tried. With one, only a token that exactly one key matches is verified.
    pub most_keys: usize,
}

/// The reason why a logout token is refused. The messages complete "back-channel logout refused: …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoutProblem {
    /// It is not a signed token, or is one of another type.
    #[error("it is not a logout token")]
    Malformed,
    /// No usable key of the provider has its `kid` and `alg`.
    #[error("no key of the provider has its `kid` and `alg`")]
    UnknownKey,
    /// It does not name its key, and more keys of the provider match than are tried.
    #[error("it has no `kid`, and the provider has more keys than are tried")]
    TooManyKeys,
    /// None of the provider's keys has signed it.
    #[error("its signature is invalid")]
    Signature,
    /// It has another issuer.
    #[error("`iss` is another provider")]
    Issuer,
    /// It has another audience.
    #[error("`aud` is another client")]
    Audience,
    /// `iat` is missing, in the future or too old.
    #[error("`iat` is missing, in the future or too old")]
    IssuedAt,
    /// It has expired.
    #[error("it has expired (`exp`)")]
    Expired,
    /// `events` has no logout event.
    #[error("`events` has no logout event")]
    Event,
    /// It has a nonce, as ID tokens have.
    #[error("it has a `nonce`")]
    Nonce,
    /// It names neither a session nor a user, or not by usable strings.
    #[error("`sid` and `sub` name no session")]
    NoSession,
    /// It has no id.
    #[error("`jti` is missing")]
    Id,
}

impl From<SignatureProblem> for LogoutProblem {
    fn from(problem: SignatureProblem) -> Self {
        match problem {
            SignatureProblem::Mismatch => Self::Signature,
            SignatureProblem::UnknownKey => Self::UnknownKey,
            SignatureProblem::TooManyKeys => Self::TooManyKeys,
        }
    }
}

/// Verifies a logout token. The signature is checked last: it is the expensive part, and any client may send tokens.
///
/// # Errors
/// Returns the first problem. [`LogoutProblem::UnknownKey`] may be solved by fetching the keys again.
pub fn verify(
    token: &str,
    keys: &KeySet,
    expected: &ExpectedLogout<'_>,
) -> Result<LogoutToken, LogoutProblem> {
    let parts = Compact::read(token).map_err(|_| LogoutProblem::Malformed)?;
    // Many providers write no `typ` of its own; other types are other tokens (RFC 8725 section 3.11).
    let is_logout =
        parts.is_untyped() || parts.is_of_type(&["logout+jwt", "application/logout+jwt", "JWT"]);
    // An unsigned token must not cause a fetch of keys.
    if !is_logout || parts.algorithm == "none" {
        return Err(LogoutProblem::Malformed);
    }
    let Ok(Value::Object(claims)) = crate::json::parse(&parts.payload) else {
        return Err(LogoutProblem::Malformed);
    };
    let logout = check_claims(&claims, expected)?;
    let options = verification_options(expected.now);
    keys.check_signature_within(expected.most_keys, token, &parts, &options)?;
    Ok(logout)
}

fn check_claims(
    claims: &Map<String, Value>,
    expected: &ExpectedLogout<'_>,
) -> Result<LogoutToken, LogoutProblem> {
    check_parties(claims, expected)?;
    check_times(claims, expected.now)?;
    let event = claims.get("events").and_then(|events| events.get(EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(LogoutProblem::Event);
    }
    if claims.contains_key("nonce") {
        return Err(LogoutProblem::Nonce);
    }
    let id = |claim: &str, longest| match claims.get(claim) {
        None => Ok(None),
        Some(value) => read_id(value, longest)
            .map(Some)
            .ok_or(LogoutProblem::NoSession),
    };
    let session = id("sid", MAX_ID)?;
    let subject = id("sub", MAX_SUBJECT)?;
    if session.is_none() && subject.is_none() {
        return Err(LogoutProblem::NoSession);
    }
    let id = claims.get("jti").and_then(|id| read_id(id, MAX_ID));
    Ok(LogoutToken {
        id: id.ok_or(LogoutProblem::Id)?,
        session,
        subject,
    })
}

fn check_parties(
    claims: &Map<String, Value>,
    expected: &ExpectedLogout<'_>,
) -> Result<(), LogoutProblem> {
    let is_client = |value: &Value| value == expected.client_id;
    let issuer = claims.get("iss").and_then(Value::as_str);
    if !issuer.is_some_and(|issuer| is_issuer(expected.issuer, issuer)) {
        return Err(LogoutProblem::Issuer);
    }
    let is_for_us = match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().all(Value::is_string) && list.iter().any(is_client),
        Some(audience) => is_client(audience),
        None => false,
    };
    if !is_for_us {
        return Err(LogoutProblem::Audience);
    }
    Ok(())
}

fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), LogoutProblem> {
    let issued = read_seconds(claims.get("iat")).ok_or(LogoutProblem::IssuedAt)?;
    if issued > now.plus(LEEWAY).0 || now.since(Timestamp(issued)) > MAX_AGE + LEEWAY {
        return Err(LogoutProblem::IssuedAt);
    }
    match claims.get("exp") {
        None => Ok(()),
        Some(expiry) => match read_seconds(Some(expiry)) {
            Some(expiry) if now.0 < expiry.saturating_add(LEEWAY) => Ok(()),
            _ => Err(LogoutProblem::Expired),
        },
    }
}

/// Reads an id that the provider has chosen: a string without control characters.
fn read_id(value: &Value, longest: usize) -> Option<String> {
    let id = value.as_str()?;
    let is_fit = !id.is_empty() && id.len() <= longest && !has_control(id);
    is_fit.then(|| id.to_owned())
}

/// Reads the id of the provider's session in the claims of an ID token, if a logout token could name it.
#[must_use]
pub fn read_provider_session(claims: &Map<String, Value>) -> Option<String> {
    read_id(claims.get("sid")?, MAX_ID)
}
