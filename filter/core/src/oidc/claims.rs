//! Verification of ID tokens, and the identity in their claims (OpenID Connect Core 1.0 section 3.1.3.7, RFC 8725).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jwt_simple::prelude::{Duration, UnixTimeStamp, VerificationOptions};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::config::EmailTrust;
use crate::email_address::canonical_email;
use crate::limits::LEEWAY;
use crate::oidc::compact::{Compact, MAX_TOKEN};
use crate::oidc::email::{self, TenantSource};
use crate::oidc::keys::{KeySet, SignatureProblem};
use crate::oidc::metadata::resolve_issuer;
use crate::refusal::TokenProblem;
use crate::session::Identity;
use crate::session::claim_filter::ClaimFilter;
use crate::time::Timestamp;

/// Longest age of an ID token in seconds. An ID token is fetched right after it is issued: an older one is a replay, or a
/// clock is wrong.
const MAX_AGE: u64 = 600;
/// Longest `sub` (OpenID Connect Core 1.0 section 2).
pub(super) const MAX_SUBJECT: usize = 255;

/// The values that an ID token has to agree with.
#[derive(Debug)]
pub struct ExpectedIdToken<'a> {
    /// The provider's issuer, as its discovery document writes it.
    pub issuer: &'a str,
    /// This proxy's client id.
    pub client_id: &'a str,
    /// The sign-in's nonce.
    pub nonce: Nonce<'a>,
    /// The access token of the same answer, for `at_hash`.
    pub access_token: Option<&'a str>,
    /// The time of the decision.
    pub now: Timestamp,
}

/// Which `nonce` a token has to have.
#[derive(Clone, Copy, Debug)]
pub enum Nonce<'a> {
    /// This nonce: the token is a sign-in's.
    Is(&'a str),
    /// No nonce, or the sign-in's, which begins like this: the token is a refresh's (OpenID Connect Core 1.0 section
    /// 12.2).
    AtMost(&'a str),
}

impl Nonce<'_> {
    fn is_met_by(self, claim: Option<&Value>) -> bool {
        match (self, claim) {
            (Self::Is(nonce), Some(Value::String(stated))) => stated == nonce,
            (Self::AtMost(_), None) => true,
            (Self::AtMost(beginning), Some(Value::String(stated))) => stated.starts_with(beginning),
            _ => false,
        }
    }
}

/// The claims of a verified ID token or of a UserInfo answer.
pub type Claims = Map<String, Value>;

/// Verifies an ID token and returns its claims.
///
/// # Errors
/// Returns the first problem. [`TokenProblem::UnknownKey`] may be solved by fetching the keys again.
pub fn verify(
    token: &str,
    keys: &KeySet,
    expected: &ExpectedIdToken<'_>,
) -> Result<Claims, TokenProblem> {
    let parts = Compact::read(token)?;
    let claims = read_unverified(&parts)?;
    let options = verification_options(expected.now);
    let signature = keys.check_signature(token, &parts, &options);
    if let Err(problem) = signature
        && problem != SignatureProblem::Mismatch
    {
        return Err(problem.into());
    }
    // A signature does not count either when the times are wrong, which is the better reason.
    check_times(&claims, expected.now)?;
    signature?;
    check_parties(&claims, expected)?;
    check_access_token(&claims, &parts.algorithm, expected.access_token)?;
    Ok(claims)
}

/// Reads the claims of an ID token that is not verified yet. A token of another type (`at+jwt`, `logout+jwt`) is not an
/// ID token.
fn read_unverified(token: &Compact) -> Result<Claims, TokenProblem> {
    if !token.is_untyped() && !token.is_of_type(&["JWT"]) {
        return Err(TokenProblem::Malformed);
    }
    match crate::json::parse(&token.payload) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(TokenProblem::Malformed),
    }
}

/// Returns the options by which jwt-simple checks times against the decision's clock, instead of one of its own.
pub(super) fn verification_options(now: Timestamp) -> VerificationOptions {
    VerificationOptions {
        time_tolerance: Some(Duration::from_secs(LEEWAY)),
        artificial_time: Some(UnixTimeStamp::from_secs(now.0)),
        max_token_length: Some(MAX_TOKEN),
        ..VerificationOptions::default()
    }
}

fn check_times(claims: &Claims, now: Timestamp) -> Result<(), TokenProblem> {
    let expiry = read_seconds(claims.get("exp")).ok_or(TokenProblem::Expired)?;
    if now.0 >= expiry.saturating_add(LEEWAY) {
        return Err(TokenProblem::Expired);
    }
    let issued = read_seconds(claims.get("iat")).ok_or(TokenProblem::IssuedAt)?;
    if issued > now.0 + LEEWAY || now.0.saturating_sub(issued) > MAX_AGE + LEEWAY {
        return Err(TokenProblem::IssuedAt);
    }
    match claims.get("nbf") {
        None => Ok(()),
        Some(value) if read_seconds(Some(value)).is_some_and(|from| from <= now.0 + LEEWAY) => {
            Ok(())
        }
        Some(_) => Err(TokenProblem::IssuedAt),
    }
}

/// Reads a NumericDate (RFC 7519 section 2) as whole seconds. A string is not a date.
pub(super) fn read_seconds(value: Option<&Value>) -> Option<u64> {
    /// Dates beyond this many seconds (2^53) are not exact in JSON.
    const LAST: f64 = 9_007_199_254_740_992.0;
    let number = value?
        .as_f64()
        .filter(|number| (0.0..LAST).contains(number))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to lie in 0..2^53"
    )]
    Some(number as u64)
}

/// Returns whether an ID token was issued to this client (OpenID Connect Core 1.0 section 3.1.3.7). Among several audiences only
/// `azp` says to which one.
pub(super) fn is_for_client(claims: &Claims, client_id: &str) -> bool {
    let (is_for_us, is_for_others) = match claims.get("aud") {
        Some(Value::String(audience)) => (audience == client_id, false),
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => (
            list.iter().any(|audience| audience == client_id),
            list.len() > 1,
        ),
        _ => (false, false),
    };
    let is_party = match claims.get("azp") {
        None => !is_for_others,
        Some(party) => party == client_id,
    };
    is_for_us && is_party
}

fn check_parties(claims: &Claims, expected: &ExpectedIdToken<'_>) -> Result<(), TokenProblem> {
    let string = |name: &str| claims.get(name).and_then(Value::as_str);
    let issuer = resolve_issuer(expected.issuer, claims);
    if issuer.is_none() || string("iss") != issuer.as_deref() {
        return Err(TokenProblem::Issuer);
    }
    if !is_for_client(claims, expected.client_id) {
        return Err(TokenProblem::Audience);
    }
    if !expected.nonce.is_met_by(claims.get("nonce")) {
        return Err(TokenProblem::Nonce);
    }
    if !string("sub").is_some_and(is_subject) {
        return Err(TokenProblem::Subject);
    }
    Ok(())
}

/// Checks `at_hash`, which is optional in the code flow, against the access token.
fn check_access_token(
    claims: &Claims,
    algorithm: &str,
    access_token: Option<&str>,
) -> Result<(), TokenProblem> {
    let (Some(stated), Some(access_token)) = (claims.get("at_hash"), access_token) else {
        return Ok(());
    };
    let hash = match algorithm.get(2..) {
        Some("384") => Sha384::digest(access_token.as_bytes()).to_vec(),
        // Ed25519 uses SHA-512.
        Some("512" | "DSA") => Sha512::digest(access_token.as_bytes()).to_vec(),
        _ => Sha256::digest(access_token.as_bytes()).to_vec(),
    };
    let half = hash.get(..hash.len() / 2).unwrap_or_default();
    if *stated == URL_SAFE_NO_PAD.encode(half) {
        Ok(())
    } else {
        Err(TokenProblem::AccessToken)
    }
}

/// Reads the identity in verified claims, with the further claims that `needs` includes.
///
/// # Errors
/// [`TokenProblem::Subject`] without `sub`, [`TokenProblem::Tenant`] for a user of a tenant that may not sign in.
pub fn read_identity(
    claims: &Claims,
    trust: &EmailTrust,
    needs: &ClaimFilter,
) -> Result<Identity, TokenProblem> {
    read_known_identity(claims, trust, needs, TenantSource::Claims)
}

/// Reads the identity in verified claims like [`read_identity`], of a user whose tenant may be known from the sign-in.
pub(crate) fn read_known_identity(
    claims: &Claims,
    trust: &EmailTrust,
    needs: &ClaimFilter,
    tenant: TenantSource,
) -> Result<Identity, TokenProblem> {
    let subject = claims.get("sub").and_then(Value::as_str);
    let subject = subject.ok_or(TokenProblem::Subject)?.to_owned();
    if !email::is_allowed_tenant(claims, trust, tenant) {
        return Err(TokenProblem::Tenant);
    }
    let email = claims
        .get("email")
        .and_then(Value::as_str)
        .and_then(canonical_email);
    let email_verified = email::is_verified(claims, trust, tenant);
    let mut kept = needs.select(claims);
    if !email_verified || email.is_none() {
        // A policy must not match an address that is not verified, or none, by naming the claim, either.
        kept.retain(|name, _| !name.eq_ignore_ascii_case("email"));
    }
    Ok(Identity {
        subject,
        email,
        email_verified,
        claims: kept,
    })
}

/// Whether a string can be a `sub` (OpenID Connect Core 1.0 section 2).
pub(super) fn is_subject(string: &str) -> bool {
    !string.is_empty() && string.len() <= MAX_SUBJECT && !has_control(string)
}

pub(super) fn has_control(string: &str) -> bool {
    string.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
