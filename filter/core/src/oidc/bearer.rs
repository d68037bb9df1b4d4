//! Tokens of the provider that a program sends by itself (RFC 6750), instead of a session.

use serde_json::Value;

use crate::config::BearerFormat;
use crate::limits::{LEEWAY, MAX_SESSION_LIFETIME};
use crate::oidc::claims::{Claims, is_subject, seconds, times};
use crate::oidc::compact::Compact;
use crate::oidc::keys::{KeySet, Vouched};
use crate::oidc::metadata::expected_issuer;
use crate::refusal::TokenProblem;
use crate::time::Timestamp;

/// What a bearer token must agree with.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) format: BearerFormat,
    /// For whom it may be: our client id for ID tokens, the configured audiences for access tokens.
    pub(crate) audiences: &'a [String],
    pub(crate) now: Timestamp,
}

/// A bearer token that holds.
#[derive(Debug)]
pub(crate) struct BearerToken {
    /// What it says.
    pub(crate) claims: Claims,
    /// What its session is as old as, by the provider's clock: what the provider revokes after this ends it.
    pub(crate) begun: Timestamp,
    /// First second at which it is over; the clocks may differ a little.
    pub(crate) end: Timestamp,
}

/// Verifies a bearer token. The signature comes last: it is what costs, and anybody may send tokens.
///
/// An access token has to be a JWT (RFC 9068) for an audience that the operator has named: one that is only good at
/// UserInfo was perhaps given to another application altogether.
///
/// # Errors
/// The first thing that is wrong. [`TokenProblem::UnknownKey`] may pass once the keys are fetched again.
pub(crate) fn verify(
    token: &str,
    keys: &KeySet,
    expected: &Expected<'_>,
) -> Result<BearerToken, TokenProblem> {
    let parts = Compact::read(token)?;
    let Ok(Value::Object(claims)) = crate::json::parse(&parts.payload) else {
        return Err(TokenProblem::Malformed);
    };
    if !is_of_format(&parts, &claims, expected.format) {
        return Err(TokenProblem::Malformed);
    }
    let (begun, end) = check_times(&claims, expected.now)?;
    check_parties(&claims, expected)?;
    match keys.vouches(token, &parts, &times(expected.now)) {
        Vouched::Yes => Ok(BearerToken { claims, begun, end }),
        Vouched::No => Err(TokenProblem::Signature),
        Vouched::UnknownKey => Err(TokenProblem::UnknownKey),
        Vouched::TooManyKeys => Err(TokenProblem::TooManyKeys),
    }
}

/// Whether a token is of the kind that is asked for. Providers that do not type their access tokens still put `scope` or
/// `client_id` into them (RFC 9068 section 2.2), which no ID token has.
fn is_of_format(token: &Compact, claims: &Claims, format: BearerFormat) -> bool {
    let is_marked = ["scope", "scp", "client_id"]
        .iter()
        .any(|name| claims.contains_key(*name));
    match format {
        BearerFormat::Session => false,
        BearerFormat::IdToken => (token.is_untyped() || token.is_of_type(&["JWT"])) && !is_marked,
        BearerFormat::AccessToken => {
            let is_typed = token.is_of_type(&["at+jwt", "application/at+jwt"]);
            let is_plain = token.is_untyped() || token.is_of_type(&["JWT"]);
            is_typed || (is_plain && is_marked && !claims.contains_key("nonce"))
        }
    }
}

/// The times of a token that is used again and again, unlike a sign-in's. Returns when it begins to count, and its end.
///
/// It begins with the sign-in that it came out of (`auth_time`), if it tells when that was, and with its own date
/// otherwise: a token that was refreshed after the provider ended everything of a person is still of a sign-in before.
/// A token without any date could be of before or after, and is refused; RFC 9068 section 2.2 and OpenID Connect Core 1.0
/// section 2 ask for one. Nor does a token live for longer than a revocation is remembered.
fn check_times(claims: &Claims, now: Timestamp) -> Result<(Timestamp, Timestamp), TokenProblem> {
    let expiry = seconds(claims.get("exp")).ok_or(TokenProblem::Expired)?;
    if now.0 >= expiry.saturating_add(LEEWAY) {
        return Err(TokenProblem::Expired);
    }
    for name in ["iat", "nbf"] {
        match claims.get(name) {
            None => {}
            Some(value) if seconds(Some(value)).is_some_and(|from| from <= now.0 + LEEWAY) => {}
            Some(_) => return Err(TokenProblem::IssuedAt),
        }
    }
    let issued = seconds(claims.get("iat"));
    // Providers write 0 when they do not know.
    let signed_in = seconds(claims.get("auth_time")).filter(|time| *time > 0);
    let begun = issued.into_iter().chain(signed_in).min();
    let begun = begun.ok_or(TokenProblem::IssuedAt)?;
    let issued = Timestamp(issued.unwrap_or(begun));
    let remembered_until = issued.plus(MAX_SESSION_LIFETIME.as_secs());
    if now >= remembered_until {
        return Err(TokenProblem::Expired);
    }
    let end = Timestamp(expiry).plus(LEEWAY).min(remembered_until);
    Ok((Timestamp(begun), end))
}

fn check_parties(claims: &Claims, expected: &Expected<'_>) -> Result<(), TokenProblem> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let issuer = expected_issuer(expected.issuer, claims);
    if issuer.is_none() || text("iss") != issuer.as_deref() {
        return Err(TokenProblem::Issuer);
    }
    let is_ours = |audience: &Value| expected.audiences.iter().any(|ours| audience == ours);
    let fits = match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().any(is_ours),
        Some(single) => is_ours(single),
        None => false,
    };
    if !fits {
        return Err(TokenProblem::Audience);
    }
    if !text("sub").is_some_and(is_subject) {
        return Err(TokenProblem::Subject);
    }
    Ok(())
}
