//! The provider's word that a session of its own is over (OpenID Connect Back-Channel Logout 1.0 section 2.4).

use serde_json::{Map, Value};

use crate::limits::LEEWAY;
use crate::oidc::claims::{MAX_SUBJECT, has_control, seconds, times};
use crate::oidc::compact::Compact;
use crate::oidc::keys::{KeySet, Vouched};
use crate::oidc::metadata::is_issuer;
use crate::time::Timestamp;

/// A logout token is sent right after it is made, and is good for this many seconds: the specification recommends two
/// minutes at the most, and not every provider says when its tokens end.
const MAX_AGE: u64 = 300;
/// For how many seconds a token has to be remembered, so that it counts once.
pub const MEMORY: u64 = MAX_AGE + 2 * LEEWAY;
/// Longest `sid` and `jti`. Providers write random names of some forty characters.
pub const MAX_ID: usize = 255;
/// The member of `events` that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A logout token that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutToken {
    /// The token's own name (`jti`).
    pub id: String,
    /// The session that is over (`sid`).
    pub session: Option<String>,
    /// Whose sessions are over (`sub`), or whose session it was.
    pub subject: Option<String>,
}

/// What a token must agree with.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The provider's issuer, as its discovery document writes it.
    pub issuer: &'a str,
    /// Our client id.
    pub client_id: &'a str,
    /// Now.
    pub now: Timestamp,
    /// How many of the provider's keys may be tried. With one, only a token whose key is beyond doubt is verified.
    pub most_keys: usize,
}

/// What is wrong with a logout token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoutProblem {
    /// Not a signed token, or one of another kind.
    #[error("it is no logout token")]
    Malformed,
    /// No usable key of the provider has this name and algorithm.
    #[error("no key of the provider has its `kid` and `alg`")]
    UnknownKey,
    /// It does not name its key, and the provider has too many that may be meant.
    #[error("it has no `kid`, and the provider has more keys than are tried")]
    TooManyKeys,
    /// The signature does not fit.
    #[error("its signature does not fit")]
    Signature,
    /// Another issuer.
    #[error("`iss` is another provider")]
    Issuer,
    /// Another audience.
    #[error("`aud` is another client")]
    Audience,
    /// From the future, too old, or without a date.
    #[error("`iat` is missing or not of these minutes")]
    IssuedAt,
    /// Over.
    #[error("`exp` is over")]
    Expired,
    /// `events` does not say that a session is over.
    #[error("`events` tells of no logout")]
    Event,
    /// It has a nonce, as ID tokens do.
    #[error("it has a `nonce`")]
    Nonce,
    /// Neither a session nor a person, or not texts.
    #[error("`sid` and `sub` name nobody")]
    Nobody,
    /// No name of its own.
    #[error("`jti` is missing")]
    Id,
}

/// Verifies a logout token. The signature comes last: it is what costs, and anybody may send tokens here.
///
/// # Errors
/// The first thing that is wrong. [`LogoutProblem::UnknownKey`] may pass once the keys are fetched again.
pub fn verify(
    token: &str,
    keys: &KeySet,
    expected: &Expected<'_>,
) -> Result<LogoutToken, LogoutProblem> {
    let parts = Compact::read(token).map_err(|_| LogoutProblem::Malformed)?;
    // Many providers write no type of its own; other types are other tokens (RFC 8725 section 3.11).
    let is_one =
        parts.is_untyped() || parts.is_of_type(&["logout+jwt", "application/logout+jwt", "JWT"]);
    // Whoever signs nothing makes us fetch no keys.
    if !is_one || parts.algorithm == "none" {
        return Err(LogoutProblem::Malformed);
    }
    let Ok(Value::Object(claims)) = crate::json::parse(&parts.payload) else {
        return Err(LogoutProblem::Malformed);
    };
    let logout = check(&claims, expected)?;
    let options = times(expected.now);
    match keys.vouches_within(token, &parts, &options, expected.most_keys) {
        Vouched::UnknownKey => Err(LogoutProblem::UnknownKey),
        Vouched::TooManyKeys => Err(LogoutProblem::TooManyKeys),
        Vouched::No => Err(LogoutProblem::Signature),
        Vouched::Yes => Ok(logout),
    }
}

fn check(
    claims: &Map<String, Value>,
    expected: &Expected<'_>,
) -> Result<LogoutToken, LogoutProblem> {
    let is_client = |value: &Value| value == expected.client_id;
    let issuer = claims.get("iss").and_then(Value::as_str);
    if !issuer.is_some_and(|issuer| is_issuer(expected.issuer, issuer)) {
        return Err(LogoutProblem::Issuer);
    }
    let for_us = match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().all(Value::is_string) && list.iter().any(is_client),
        Some(audience) => is_client(audience),
        None => false,
    };
    if !for_us {
        return Err(LogoutProblem::Audience);
    }
    check_times(claims, expected.now)?;
    let event = claims.get("events").and_then(|events| events.get(EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(LogoutProblem::Event);
    }
    if claims.contains_key("nonce") {
        return Err(LogoutProblem::Nonce);
    }
    let name = |claim: &str, longest| match claims.get(claim) {
        None => Ok(None),
        Some(value) => read_name(value, longest)
            .map(Some)
            .ok_or(LogoutProblem::Nobody),
    };
    let session = name("sid", MAX_ID)?;
    let subject = name("sub", MAX_SUBJECT)?;
    if session.is_none() && subject.is_none() {
        return Err(LogoutProblem::Nobody);
    }
    let id = claims.get("jti").and_then(|id| read_name(id, MAX_ID));
    Ok(LogoutToken {
        id: id.ok_or(LogoutProblem::Id)?,
        session,
        subject,
    })
}

fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), LogoutProblem> {
    let issued = seconds(claims.get("iat")).ok_or(LogoutProblem::IssuedAt)?;
    if issued > now.plus(LEEWAY).0 || now.since(Timestamp(issued)) > MAX_AGE + LEEWAY {
        return Err(LogoutProblem::IssuedAt);
    }
    match claims.get("exp") {
        None => Ok(()),
        Some(expiry) => match seconds(Some(expiry)) {
            Some(expiry) if now.0 < expiry.saturating_add(LEEWAY) => Ok(()),
            _ => Err(LogoutProblem::Expired),
        },
    }
}

/// A name that a provider gives: a text without control characters.
fn read_name(value: &Value, longest: usize) -> Option<String> {
    let name = value.as_str()?;
    let fit = !name.is_empty() && name.len() <= longest && !has_control(name);
    fit.then(|| name.to_owned())
}

/// The provider's name for its session in the claims of an ID token, when it is one by which that session can be ended.
#[must_use]
pub fn provider_session(claims: &Map<String, Value>) -> Option<String> {
    read_name(claims.get("sid")?, MAX_ID)
}
