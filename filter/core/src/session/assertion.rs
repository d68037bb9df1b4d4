//! The identity that upstreams get: a signed assertion, and claims as plain headers.

mod cache;
mod claims;
mod login;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::config::{IdentitySettings, IssuerFormat};
use crate::session::Session;
use crate::time::Timestamp;

pub(crate) use cache::{Assertions, IssuedAssertion};
pub(crate) use login::{Login, login_token};

/// Request header with the signed assertion.
pub const ASSERTION_HEADER: &str = "x-pomerium-jwt-assertion";

/// Request header that names the claims of which the claim headers or the assertion lack values.
pub(crate) const INCOMPLETE_HEADER: &str = "x-pomerium-incomplete-claims";

/// Lifetime of an assertion in seconds, as in Pomerium.
const LIFETIME: u64 = 300;

/// The application that an assertion is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Party<'a> {
    /// The public host, without port.
    pub(crate) host: &'a str,
    /// How the route writes the issuer.
    pub(crate) issuer_format: IssuerFormat,
}

/// The identity that upstreams get for a user, for about a minute.
pub(crate) struct Assertion {
    /// The signed token.
    pub(crate) token: String,
    /// The values of the claim headers, in the order of the configuration; each is a valid header value.
    pub(crate) claim_values: Vec<Vec<u8>>,
    /// The claims of which the token or a claim header lacks values.
    pub(crate) incomplete: BTreeSet<String>,
}

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Assertion(..)")
    }
}

/// Returns the names of the claims that a session has to keep for assertions and claim headers.
pub(crate) fn needed_claims(settings: &IdentitySettings) -> impl Iterator<Item = &str> {
    let named = settings.claim_headers.iter();
    named
        .map(|(_, claim)| claim.as_str())
        .filter(|claim| !claims::BASE.contains(claim))
        .chain([settings.groups_claim.as_str(), "name"])
}

/// Returns the claims of an assertion that are about the user, without those about itself: `iss`, `aud`, `exp`, `iat`, `nbf`,
/// `jti`.
pub(crate) fn person(
    session: &Session,
    party: Party<'_>,
    settings: &IdentitySettings,
) -> Map<String, Value> {
    let source = claims::AssertionSource {
        session,
        party,
        settings,
    };
    let mut claims = source.claims([0; 16], Timestamp(0));
    claims.retain(|name, _| !claims::OF_ITSELF.contains(&name.as_str()));
    claims
}
