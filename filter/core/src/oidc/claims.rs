//! From an ID token to an identity (OpenID Connect Core 1.0 section 3.1.3.7, RFC 8725).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jwt_simple::prelude::{Duration, UnixTimeStamp, VerificationOptions};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::config::EmailTrust;
use crate::limits::LEEWAY;
use crate::oidc::compact::{Compact, MAX_TOKEN};
use crate::oidc::email;
use crate::oidc::keys::{KeySet, Vouched};
use crate::oidc::metadata::expected_issuer;
use crate::refusal::TokenProblem;
use crate::session::Identity;
use crate::session::claim_filter::ClaimFilter;
use crate::time::Timestamp;

/// An ID token is fetched right after it is made; an older one is a replay or a clock gone wrong.
const MAX_AGE: u64 = 600;
/// Longest `sub` (OpenID Connect Core 1.0 section 2).
pub(super) const MAX_SUBJECT: usize = 255;
/// Longest address (RFC 5321 section 4.5.3.1: 64 + 1 + 255).
const MAX_EMAIL: usize = 320;

/// What a token must agree with.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The provider's issuer, as its discovery document writes it.
    pub issuer: &'a str,
    /// Our client id.
    pub client_id: &'a str,
    /// The sign-in's nonce.
    pub nonce: Nonce<'a>,
    /// The access token of the same answer, for `at_hash`.
    pub access_token: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// What must stand as `nonce`.
#[derive(Clone, Copy, Debug)]
pub enum Nonce<'a> {
    /// This one: the token is a sign-in's.
    Is(&'a str),
    /// None, or the one of the sign-in, of which this is the beginning: the token came with a refresh token (OpenID
    /// Connect Core 1.0 section 12.2).
    AtMost(&'a str),
}

impl Nonce<'_> {
    fn fits(self, claim: Option<&Value>) -> bool {
        match (self, claim) {
            (Self::Is(nonce), Some(Value::String(stated))) => stated == nonce,
            (Self::AtMost(_), None) => true,
            (Self::AtMost(beginning), Some(Value::String(stated))) => stated.starts_with(beginning),
            _ => false,
        }
    }
}

/// The claims of an ID token or a UserInfo answer that could be believed.
pub type Claims = Map<String, Value>;

/// Verifies an ID token and returns its claims.
///
/// # Errors
/// The first thing that is wrong. [`TokenProblem::UnknownKey`] may pass once the keys are fetched again.
pub fn verify(token: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Claims, TokenProblem> {
    let parts = Compact::read(token)?;
    let claims = unverified(&parts)?;
    let is_signed = match keys.vouches(token, &parts, &times(expected.now)) {
        Vouched::Yes => true,
        Vouched::No => false,
        Vouched::UnknownKey => return Err(TokenProblem::UnknownKey),
        Vouched::TooManyKeys => return Err(TokenProblem::TooManyKeys),
    };
    check_times(&claims, expected.now)?;
    if !is_signed {
        return Err(TokenProblem::Signature);
    }
    check_parties(&claims, expected)?;
    check_access_token(&claims, &parts.algorithm, expected.access_token)?;
    Ok(claims)
}

/// The claims of an ID token, not believed yet. A token of another kind (`at+jwt`, `logout+jwt`) is none.
fn unverified(token: &Compact) -> Result<Claims, TokenProblem> {
    if !token.is_untyped() && !token.is_of_type(&["JWT"]) {
        return Err(TokenProblem::Malformed);
    }
    match crate::json::parse(&token.payload) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(TokenProblem::Malformed),
    }
}

/// jwt-simple checks times by our clock, with our leeway, instead of by a clock of its own.
pub(super) fn times(now: Timestamp) -> VerificationOptions {
    VerificationOptions {
        time_tolerance: Some(Duration::from_secs(LEEWAY)),
        artificial_time: Some(UnixTimeStamp::from_secs(now.0)),
        max_token_length: Some(MAX_TOKEN),
        ..VerificationOptions::default()
    }
}

fn check_times(claims: &Claims, now: Timestamp) -> Result<(), TokenProblem> {
    let expiry = seconds(claims.get("exp")).ok_or(TokenProblem::Expired)?;
    if now.0 >= expiry.saturating_add(LEEWAY) {
        return Err(TokenProblem::Expired);
    }
    let issued = seconds(claims.get("iat")).ok_or(TokenProblem::IssuedAt)?;
    if issued > now.0 + LEEWAY || now.0.saturating_sub(issued) > MAX_AGE + LEEWAY {
        return Err(TokenProblem::IssuedAt);
    }
    match claims.get("nbf") {
        None => Ok(()),
        Some(value) if seconds(Some(value)).is_some_and(|from| from <= now.0 + LEEWAY) => Ok(()),
        Some(_) => Err(TokenProblem::IssuedAt),
    }
}

/// A NumericDate (RFC 7519 section 2), whole seconds; texts are not dates.
pub(super) fn seconds(value: Option<&Value>) -> Option<u64> {
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

fn check_parties(claims: &Claims, expected: &Expected<'_>) -> Result<(), TokenProblem> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let issuer = expected_issuer(expected.issuer, claims);
    if issuer.is_none() || text("iss") != issuer.as_deref() {
        return Err(TokenProblem::Issuer);
    }
    let (for_us, for_others) = match claims.get("aud") {
        Some(Value::String(audience)) => (audience == expected.client_id, false),
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => (
            list.iter().any(|audience| audience == expected.client_id),
            list.len() > 1,
        ),
        _ => (false, false),
    };
    let party_fits = match claims.get("azp") {
        None => !for_others,
        Some(party) => party == expected.client_id,
    };
    if !for_us || !party_fits {
        return Err(TokenProblem::Audience);
    }
    if !expected.nonce.fits(claims.get("nonce")) {
        return Err(TokenProblem::Nonce);
    }
    if !text("sub").is_some_and(is_subject) {
        return Err(TokenProblem::Subject);
    }
    Ok(())
}

/// `at_hash` is optional in the code flow, and must fit when it is there.
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
        // Ed25519 signs with SHA-512 inside.
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

/// Who the claims say it is, with those further claims that `needs` names.
///
/// # Errors
/// [`TokenProblem::Subject`] without `sub`, [`TokenProblem::Tenant`] for a user of a tenant that may not sign in.
pub fn identity(
    claims: &Claims,
    trust: &EmailTrust,
    needs: &ClaimFilter,
) -> Result<Identity, TokenProblem> {
    let subject = claims.get("sub").and_then(Value::as_str);
    let subject = subject.ok_or(TokenProblem::Subject)?.to_owned();
    if !email::is_allowed_tenant(claims, trust) {
        return Err(TokenProblem::Tenant);
    }
    let email = claims
        .get("email")
        .and_then(Value::as_str)
        .filter(|email| is_plausible(email))
        .map(str::to_owned);
    let email_verified = email::is_verified(claims, trust);
    let mut kept = needs.select(claims);
    if !email_verified {
        // An address that is not verified is no address by this way, either.
        kept.retain(|name, _| !name.eq_ignore_ascii_case("email"));
    }
    Ok(Identity {
        subject,
        email,
        email_verified,
        claims: kept,
    })
}

/// An address as policies can rely on it: one `@`, ASCII, nothing that could end a line or a list.
fn is_plausible(email: &str) -> bool {
    let fit = |byte: u8| {
        byte.is_ascii_graphic() && !matches!(byte, b',' | b'"' | b'<' | b'>' | b'(' | b')' | b';')
    };
    let parts = email.split_once('@');
    email.len() <= MAX_EMAIL
        && email.bytes().all(fit)
        && parts.is_some_and(|(local, domain)| {
            !local.is_empty()
                && !domain.is_empty()
                && !domain.contains('@')
                && !domain.ends_with('.')
        })
}

/// Whether a text can be a `sub` (OpenID Connect Core 1.0 section 2).
pub(super) fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_SUBJECT && !has_control(text)
}

pub(super) fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
