//! Bearer tokens: the provider's tokens that an API client sends instead of a session (RFC 6750).

use serde_json::Value;

use crate::config::BearerFormat;
use crate::limits::{LEEWAY, MAX_SESSION_LIFETIME};
use crate::oidc::claims::{Claims, is_for_client, is_subject, read_seconds, verification_options};
use crate::oidc::compact::Compact;
use crate::oidc::keys::KeySet;
use crate::oidc::metadata::resolve_issuer;
use crate::refusal::TokenProblem;
use crate::time::Timestamp;

/// The values that a bearer token has to agree with.
#[derive(Debug)]
pub(crate) struct ExpectedBearer<'a> {
    /// The provider's issuer, as its discovery document writes it.
    pub(crate) issuer: &'a str,
    /// The kind of token that the route accepts.
    pub(crate) format: BearerFormat,
    /// The accepted audiences: this proxy's client id for ID tokens, the configured audiences for access tokens.
    pub(crate) audiences: &'a [String],
    /// The time of the decision.
    pub(crate) now: Timestamp,
}

/// A verified bearer token.
#[derive(Debug)]
pub(crate) struct BearerToken {
    /// The claims.
    pub(crate) claims: Claims,
    /// When its session began, by the provider's clock. A later revocation ends that session.
    pub(crate) begun: Timestamp,
    /// The first second at which the token has expired, with a leeway for clocks that differ.
    pub(crate) end: Timestamp,
}

/// Verifies a bearer token. The signature is checked last: it is the expensive part, and any client may send tokens.
///
/// An access token has to be a JWT (RFC 9068) for an audience that the operator has named. A token without such an
/// audience may have been issued to another application.
///
/// # Errors
/// Returns the first problem. [`TokenProblem::UnknownKey`] may be solved by fetching the keys again.
pub(crate) fn verify(
    token: &str,
    keys: &KeySet,
    expected: &ExpectedBearer<'_>,
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
    keys.check_signature(token, &parts, &verification_options(expected.now))?;
    Ok(BearerToken { claims, begun, end })
}

/// Whether a token is of the expected kind. Access tokens without a `typ` of their own have at least `scope` or
/// `client_id` (RFC 9068 section 2.2), which no ID token has.
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

/// Checks the times of a token that, unlike a sign-in's, is used more than once. Returns when its session began, and its
/// end.
///
/// The session began with the sign-in (`auth_time`) if the token names its time, and with `iat` otherwise: a token that
/// was refreshed after the provider has revoked all sessions of a user still belongs to an earlier sign-in. A token
/// without either could be older or newer than a revocation, and is refused; RFC 9068 section 2.2 and OpenID Connect Core
/// 1.0 section 2 require `iat`. A token is not valid for longer than a revocation is remembered.
fn check_times(claims: &Claims, now: Timestamp) -> Result<(Timestamp, Timestamp), TokenProblem> {
    let expiry = read_seconds(claims.get("exp")).ok_or(TokenProblem::Expired)?;
    if now.0 >= expiry.saturating_add(LEEWAY) {
        return Err(TokenProblem::Expired);
    }
    for name in ["iat", "nbf"] {
        match claims.get(name) {
            None => {}
            Some(value) if read_seconds(Some(value)).is_some_and(|from| from <= now.0 + LEEWAY) => {
            }
            Some(_) => return Err(TokenProblem::IssuedAt),
        }
    }
    let issued = read_seconds(claims.get("iat"));
    // Providers write 0 when they do not know the time.
    let signed_in = read_seconds(claims.get("auth_time")).filter(|time| *time > 0);
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

fn check_parties(claims: &Claims, expected: &ExpectedBearer<'_>) -> Result<(), TokenProblem> {
    let string = |name: &str| claims.get(name).and_then(Value::as_str);
    let issuer = resolve_issuer(expected.issuer, claims);
    if issuer.is_none() || string("iss") != issuer.as_deref() {
        return Err(TokenProblem::Issuer);
    }
    if !is_for_us(claims, expected) {
        return Err(TokenProblem::Audience);
    }
    if !string("sub").is_some_and(is_subject) {
        return Err(TokenProblem::Subject);
    }
    Ok(())
}

/// Returns whether the token is for one of the accepted audiences. An ID token with several audiences is treated as at a
/// sign-in.
fn is_for_us(claims: &Claims, expected: &ExpectedBearer<'_>) -> bool {
    let mut audiences = expected.audiences.iter();
    if expected.format == BearerFormat::IdToken {
        // One client may get a token for another one (Dex's trusted peers): a sole audience says for which client it is.
        let sole = claims.get("aud").and_then(Value::as_str);
        return audiences
            .any(|client_id| sole == Some(client_id.as_str()) || is_for_client(claims, client_id));
    }
    audiences.any(|accepted| match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().any(|audience| audience == accepted),
        Some(single) => single == accepted,
        None => false,
    })
}
