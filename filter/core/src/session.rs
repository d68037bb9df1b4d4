//! The session of a signed-in user: what the provider stated about the user, sealed in a cookie.

pub(crate) mod activity;
pub mod assertion;
pub mod claim_filter;
mod id_token_claims;
mod reader;
pub mod refresh;
pub(crate) mod refresh_state;
pub(crate) mod replay;
pub(crate) mod revocation;
pub mod seal;
pub mod signing_key;
pub mod unix_user;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use id_token_claims::{NamedClaims, StatedClaims, UserInfoUpdate};
pub use reader::{OpenedSession, SessionReader};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::email_address::canonical_email;
use crate::time::Timestamp;

/// Longest ID token that is kept for the sign-out at the provider. A longer one would add a second cookie to every request; without
/// it the provider may ask the user to confirm the sign-out.
const MAX_HINT: usize = 2048;

/// The session of a signed-in user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Random id of the session, 128 bits.
    #[serde(rename = "i")]
    pub id: String,
    /// The provider's stable id of the user (`sub`).
    #[serde(rename = "s")]
    pub subject: String,
    /// The email address that the provider stated, in canonical form. It is for pages; policies use [`Session::email`].
    #[serde(rename = "e", skip_serializing_if = "Option::is_none")]
    stated_email: Option<String>,
    /// Whether policies may rely on the email address.
    #[serde(rename = "v")]
    email_verified: bool,
    /// When the sign-in was completed, in Unix seconds.
    #[serde(rename = "a")]
    signed_in_at: u64,
    /// When the session expires, in Unix seconds.
    #[serde(rename = "x")]
    expires_at: u64,
    /// The claims that policies and upstreams need, each with all its values.
    #[serde(rename = "c", default, skip_serializing_if = "BTreeMap::is_empty")]
    claims: BTreeMap<String, Vec<Value>>,
    /// Names of claims of which values were dropped because they did not fit.
    #[serde(rename = "l", default, skip_serializing_if = "BTreeSet::is_empty")]
    incomplete: BTreeSet<String>,
    /// Names of the claims that the last ID token stated; see [`id_token_claims`].
    #[serde(rename = "t", default, skip_serializing_if = "BTreeSet::is_empty")]
    from_id_token: BTreeSet<String>,
    /// Whether the last ID token stated the email address and everything about its verification.
    #[serde(rename = "m", default, skip_serializing_if = "std::ops::Not::not")]
    is_email_from_id_token: bool,
    /// Digest of the configuration under which the session was made: the policies for which the claims were selected, and the
    /// rules for verified email addresses.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    chosen_for: String,
    /// The last request that this cookie records, in Unix seconds.
    #[serde(rename = "u", default)]
    seen_at: u64,
    /// The provider's id of its own session (`sid`), with which it ends this one.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub provider_session: Option<String>,
    /// How the session is refreshed with the provider.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<RefreshGrant>,
    /// The ID token, for the sign-out at the provider (`id_token_hint`).
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// Id of an API client's use of the session, 128 random bits; `None` in a browser.
    ///
    /// An API client's session is a child of the browser's: it has the same [`Session::id`], so that everything that ends the
    /// one ends the other.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    child: Option<String>,
}

/// How a session is refreshed with the provider (RFC 6749 section 6).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshGrant {
    /// The refresh token. Many providers accept each one only once and revoke the grant when one is used twice. An API client's
    /// session therefore has none: the client keeps its value, so that the token would soon be an old one. The newest state of
    /// such a session comes from the shared data.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// From when on the session should be refreshed, in Unix seconds.
    #[serde(rename = "d")]
    pub due_at: u64,
    /// From when on the statements of the provider are outdated, in Unix seconds.
    #[serde(rename = "o")]
    pub overdue_at: u64,
    /// The beginning of the nonce of the sign-in, which later ID tokens may repeat.
    #[serde(rename = "n")]
    pub nonce: String,
    /// How often the session was refreshed. Of two sessions with one id, the one with the higher number is valid.
    #[serde(rename = "g", default)]
    pub generation: u32,
}

impl std::fmt::Debug for Session {
    /// Shows the account and the expiry only: claims may be private, and tokens are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("account", &self.account())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RefreshGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefreshGrant")
            .field("due_at", &self.due_at)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Creates a session that begins at `now`.
    #[must_use]
    pub fn new(id: String, identity: Identity, now: Timestamp, lifetime_seconds: u64) -> Self {
        Self {
            id,
            subject: identity.subject,
            stated_email: identity.email.as_deref().and_then(canonical_email),
            email_verified: identity.email_verified,
            signed_in_at: now.0,
            claims: identity.claims,
            incomplete: BTreeSet::new(),
            from_id_token: BTreeSet::new(),
            is_email_from_id_token: false,
            chosen_for: String::new(),
            expires_at: now.plus(lifetime_seconds).0,
            seen_at: now.0,
            provider_session: None,
            refresh: None,
            id_token: None,
            child: None,
        }
    }

    /// Sets when the session began, if it comes from something older: revocations since `begun` end it.
    #[must_use]
    pub fn begun_at(self, begun: Timestamp) -> Self {
        Self {
            signed_in_at: begun.0,
            ..self
        }
    }

    /// Returns the session for an API client, with its own id of use, last used at `now`. It has no ID token, because an API
    /// client does not sign the user out at the provider, and no refresh token, see [`RefreshGrant::refresh_token`].
    #[must_use]
    pub fn handed_over(&self, child: String, now: Timestamp) -> Self {
        let mut handed = self.seen(now);
        handed.id_token = None;
        handed.child = Some(child);
        if let Some(refresh) = &mut handed.refresh {
            refresh.refresh_token = None;
        }
        handed
    }

    /// Returns whether an API client uses the session.
    #[must_use]
    pub const fn is_for_api_client(&self) -> bool {
        self.child.is_some()
    }

    /// Returns the id under which the last use of the session is recorded. An API client does not keep an idle browser session
    /// alive, nor the other way round.
    #[must_use]
    pub fn name_of_use(&self) -> &str {
        self.child.as_deref().unwrap_or(&self.id)
    }

    /// Returns the session for the shared data: the browser's, without the use by an API client.
    #[must_use]
    pub fn to_browser_session(&self) -> Self {
        let mut session = self.clone();
        if session.child.take().is_some() {
            session.seen_at = session.signed_in_at;
        }
        session
    }

    /// Returns whether this state of a session replaces another one with the same id: it was refreshed more often, or it has the
    /// refresh token that an API client's lacks.
    #[must_use]
    pub fn replaces(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.generation(), other.generation());
        ours > theirs || (ours == theirs && other.lacks_refresh_token())
    }

    /// Returns this state of a session for a client that sent another one: with the last use and the id of use of that one.
    #[must_use]
    pub fn instead_of(&self, other: &Self) -> Self {
        Self {
            seen_at: if other.is_for_api_client() {
                other.seen_at
            } else {
                self.seen_at.max(other.seen_at)
            },
            child: other.child.clone(),
            ..self.clone()
        }
    }

    fn lacks_refresh_token(&self) -> bool {
        let refresh = self.refresh.as_ref();
        refresh.is_some_and(|refresh| refresh.refresh_token.is_none())
    }

    /// Returns whether the statements of the provider are outdated and there is no token to refresh them.
    #[must_use]
    pub fn is_stranded(&self, now: Timestamp) -> bool {
        let overdue = |refresh: &RefreshGrant| refresh.is_overdue(now);
        self.lacks_refresh_token() && self.refresh.as_ref().is_some_and(overdue)
    }

    /// Returns names and values of all claims of the session.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (&str, &[Value])> {
        let claims = self.claims.iter();
        claims.map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// Returns the names of claims of which values were dropped.
    pub(crate) fn incomplete_claims(&self) -> impl Iterator<Item = &str> {
        self.incomplete.iter().map(String::as_str)
    }

    /// Returns when the user signed in.
    #[must_use]
    pub const fn signed_in_at(&self) -> Timestamp {
        Timestamp(self.signed_in_at)
    }

    /// Returns the time of the last recorded request.
    #[must_use]
    pub const fn seen_at(&self) -> Timestamp {
        Timestamp(self.seen_at)
    }

    /// Returns the session with `now` as its last request.
    #[must_use]
    pub fn seen(&self, now: Timestamp) -> Self {
        Self {
            seen_at: now.0,
            ..self.clone()
        }
    }

    /// Returns the session with the identity from a refresh. Its expiry and its last request stay: a refresh is no request of the
    /// user.
    #[must_use]
    pub fn refreshed(&self, identity: Identity) -> Self {
        Self {
            stated_email: identity.email.as_deref().and_then(canonical_email),
            email_verified: identity.email_verified,
            claims: identity.claims,
            incomplete: BTreeSet::new(),
            from_id_token: BTreeSet::new(),
            is_email_from_id_token: false,
            ..self.clone()
        }
    }

    /// Returns how often the session was refreshed.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.refresh
            .as_ref()
            .map_or(0, |refresh| refresh.generation)
    }

    /// Keeps an ID token for the sign-out at the provider, unless there is none or it is too long for a cookie.
    pub(crate) fn keep_hint(&mut self, id_token: &str) {
        if !id_token.is_empty() && id_token.len() <= MAX_HINT {
            self.id_token = Some(id_token.to_owned());
        }
    }

    /// Sets the digest of the configuration under which the session is made.
    #[must_use]
    pub fn chosen_for(self, digest: &str) -> Self {
        Self {
            chosen_for: digest.to_owned(),
            ..self
        }
    }

    /// Returns whether the session was made under the configuration with this digest. Another session may lack a claim of a new
    /// `deny` rule, or have an email address that is no longer verified.
    #[must_use]
    pub fn answers(&self, digest: &str) -> bool {
        self.chosen_for == digest
    }

    /// Returns the email address if policies may rely on it: `None` when the provider has not verified it.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        if self.email_verified {
            self.stated_email.as_deref()
        } else {
            None
        }
    }

    /// Returns all values of a claim, which is found by its exact name, then without regard to case; none when it is missing.
    #[must_use]
    pub fn claim(&self, name: &str) -> &[Value] {
        let exact = self.claims.get(name);
        let found = exact.or_else(|| {
            self.claims
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, values)| values)
        });
        found.map_or(&[], Vec::as_slice)
    }

    /// Returns whether the session has a claim of this name in any case, even without values.
    pub(crate) fn has_claim(&self, name: &str) -> bool {
        self.claims
            .keys()
            .any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Returns the name of the account for a page: the email address, else the provider's id of the user.
    #[must_use]
    pub fn account(&self) -> &str {
        self.stated_email.as_deref().unwrap_or(&self.subject)
    }

    /// Returns whether the provider states an email address that does not count as verified, so that no policy matches it.
    #[must_use]
    pub const fn has_unverified_email(&self) -> bool {
        self.stated_email.is_some() && !self.email_verified
    }

    /// Returns when the session expires.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        Timestamp(self.expires_at)
    }

    /// Returns whether the session is valid at `now`: it has not expired, and was not made later than the tolerated difference of
    /// clocks allows.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now.0 < self.expires_at && self.signed_in_at <= now.plus(crate::limits::LEEWAY).0
    }
}

/// The identity of a user from a verified sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `sub`.
    pub subject: String,
    /// `email`, if it can be an address.
    pub email: Option<String>,
    /// Whether the email address counts as verified by the rules of the configuration.
    pub email_verified: bool,
    /// Further claims, flattened: nested names joined by dots, every claim a list of values.
    pub claims: BTreeMap<String, Vec<Value>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(now: Timestamp) -> Session {
        let identity = Identity {
            subject: "s1".to_owned(),
            email: Some("Alice@EXAMPLE.com".to_owned()),
            email_verified: true,
            claims: BTreeMap::new(),
        };
        Session::new("id".to_owned(), identity, now, 100)
    }

    #[test]
    fn expires_to_the_second() {
        let session = session(Timestamp(1000));
        assert!(session.is_live(Timestamp(1099)));
        assert!(!session.is_live(Timestamp(1100)));
        assert!(session.is_live(Timestamp(1000 - crate::limits::LEEWAY)));
        assert!(!session.is_live(Timestamp(999 - crate::limits::LEEWAY)));
    }

    /// Browsers have cookies of earlier versions, which lack the newer values.
    #[test]
    fn a_session_of_an_earlier_version_is_read() {
        let earlier = r#"{"i":"id","s":"s1","e":"alice@example.com","v":true,"a":1000,"x":2000,"c":{"groups":["a"]}}"#;
        let session: Session = serde_json::from_str(earlier).unwrap();
        assert_eq!(session.email(), Some("alice@example.com"));
        assert_eq!(session.claim("groups"), [Value::from("a")]);
        assert!(session.is_live(Timestamp(1500)));
        let written = serde_json::to_string(&session).unwrap();
        for name in [r#""t":"#, r#""m":"#] {
            assert!(!written.contains(name), "{written}");
        }
    }

    #[test]
    fn unverified_addresses_are_named_but_not_relied_on() {
        let mut session = session(Timestamp(0));
        assert_eq!(session.email(), Some("Alice@example.com"));
        session.email_verified = false;
        assert_eq!(
            (session.email(), session.account()),
            (None, "Alice@example.com")
        );
    }
}
