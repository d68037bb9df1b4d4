//! A visitor's session: what the provider said about them, sealed into a cookie.

pub(crate) mod activity;
pub mod assertion;
pub mod claim_filter;
mod reader;
pub mod refresh;
pub(crate) mod refresh_state;
pub(crate) mod replay;
pub(crate) mod revocation;
pub mod seal;
pub mod signing_key;
pub mod unix_user;

use std::collections::{BTreeMap, BTreeSet};

pub use reader::{OpenedSession, SessionReader};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Timestamp;

/// Longest ID token that is kept for the provider's sign-out: with longer ones every request would carry a second cookie,
/// and the sign-out works without it, by one question more at the provider.
const MAX_HINT: usize = 2048;

/// Who is signed in, and until when.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Random name of this session, 128 bits.
    #[serde(rename = "i")]
    pub id: String,
    /// The provider's stable name for the person (`sub`).
    #[serde(rename = "s")]
    pub subject: String,
    /// The address as the provider gave it, its domain in lower case. For pages; policies use [`Session::email`].
    #[serde(rename = "e", skip_serializing_if = "Option::is_none")]
    stated_email: Option<String>,
    /// Whether policies may rely on the address.
    #[serde(rename = "v")]
    email_verified: bool,
    /// When the sign-in ended, Unix seconds.
    #[serde(rename = "a")]
    signed_in_at: u64,
    /// First second at which the session is over, Unix seconds.
    #[serde(rename = "x")]
    expires_at: u64,
    /// The claims that the file's policies ask for, each with all its values.
    #[serde(rename = "c", default, skip_serializing_if = "BTreeMap::is_empty")]
    claims: BTreeMap<String, Vec<Value>>,
    /// Names of claims of which values were given up, because they did not fit.
    #[serde(rename = "l", default, skip_serializing_if = "BTreeSet::is_empty")]
    incomplete: BTreeSet<String>,
    /// On what terms of the file it was made: for which policies the claims were chosen, and by which rules the address was
    /// judged.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    chosen_for: String,
    /// The last request that this cookie remembers, Unix seconds.
    #[serde(rename = "u", default)]
    seen_at: u64,
    /// The provider's name for its own session (`sid`), by which it ends ours.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub provider_session: Option<String>,
    /// How the provider is asked whether all this still holds.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<RefreshGrant>,
    /// The ID token, for the provider's sign-out (`id_token_hint`).
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// A program's own name for its use of the session, 128 random bits; `None` in a browser.
    ///
    /// A program's session is a child of the browser's: it has the same [`Session::id`], so that everything that ends
    /// the one ends the other.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    child: Option<String>,
}

/// How a session is refreshed with the provider (RFC 6749 section 6).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshGrant {
    /// The refresh token. Many providers take each only once, and end the whole grant when one comes twice. That is why a
    /// program's session has none: its value never changes, and the token would soon be an old one. It takes the newest
    /// form of the session from what the workers share.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// From here on it is time to ask, Unix seconds.
    #[serde(rename = "d")]
    pub due_at: u64,
    /// From here on what the provider said is no longer current, Unix seconds.
    #[serde(rename = "o")]
    pub overdue_at: u64,
    /// The beginning of the sign-in's nonce, which later ID tokens may repeat.
    #[serde(rename = "n")]
    pub nonce: String,
    /// How often it was refreshed: the higher of two sessions of one name is the one in force.
    #[serde(rename = "g", default)]
    pub generation: u32,
}

impl std::fmt::Debug for Session {
    /// Claims may be private, and tokens are secrets: who and until when is all that is shown.
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
    /// A session that begins at `now`.
    #[must_use]
    pub fn new(id: String, identity: Identity, now: Timestamp, lifetime_seconds: u64) -> Self {
        Self {
            id,
            subject: identity.subject,
            stated_email: identity.email.map(lower_case_domain),
            email_verified: identity.email_verified,
            signed_in_at: now.0,
            claims: identity.claims,
            incomplete: BTreeSet::new(),
            chosen_for: String::new(),
            expires_at: now.plus(lifetime_seconds).0,
            seen_at: now.0,
            provider_session: None,
            refresh: None,
            id_token: None,
            child: None,
        }
    }

    /// The same session, made out of something that is older than `now`: whatever was revoked since `begun` ends it.
    #[must_use]
    pub fn begun_at(self, begun: Timestamp) -> Self {
        Self {
            signed_in_at: begun.0,
            ..self
        }
    }

    /// The session as a program gets it, used under this name from `now` on. A program signs nobody out at the provider,
    /// and has no refresh token, see [`RefreshGrant::refresh_token`].
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

    /// Whether a program uses the session.
    #[must_use]
    pub const fn is_programs(&self) -> bool {
        self.child.is_some()
    }

    /// Under which name it is remembered when the session was last used. A program does not keep the session of a browser
    /// alive that nobody uses, nor the other way round.
    #[must_use]
    pub fn name_of_use(&self) -> &str {
        self.child.as_deref().unwrap_or(&self.id)
    }

    /// The form that the workers share: not a program's, and not used by one.
    #[must_use]
    pub fn as_browsers(&self) -> Self {
        let mut session = self.clone();
        if session.child.take().is_some() {
            session.seen_at = session.signed_in_at;
        }
        session
    }

    /// Whether this form of a session replaces another one of the same name: it was refreshed more often, or it has the
    /// refresh token that a program's lacks.
    #[must_use]
    pub fn replaces(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.generation(), other.generation());
        ours > theirs || (ours == theirs && other.lacks_refresh_token())
    }

    /// This form of a session for who came with another one: its last use is theirs.
    #[must_use]
    pub fn instead_of(&self, other: &Self) -> Self {
        Self {
            seen_at: if other.is_programs() {
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

    /// Whether what the provider said is no longer current, and there is nothing to ask it again with.
    #[must_use]
    pub fn is_stranded(&self, now: Timestamp) -> bool {
        let overdue = |refresh: &RefreshGrant| now.0 >= refresh.overdue_at;
        self.lacks_refresh_token() && self.refresh.as_ref().is_some_and(overdue)
    }

    /// Names and values of all claims that the session keeps.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (&str, &[Value])> {
        let claims = self.claims.iter();
        claims.map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// Names of the claims of which values were given up.
    pub(crate) fn incomplete_claims(&self) -> impl Iterator<Item = &str> {
        self.incomplete.iter().map(String::as_str)
    }

    /// When the person signed in.
    #[must_use]
    pub const fn signed_in_at(&self) -> Timestamp {
        Timestamp(self.signed_in_at)
    }

    /// The last request that the session remembers.
    #[must_use]
    pub const fn seen_at(&self) -> Timestamp {
        Timestamp(self.seen_at)
    }

    /// The same session, seen at `now`.
    #[must_use]
    pub fn seen(&self, now: Timestamp) -> Self {
        Self {
            seen_at: now.0,
            ..self.clone()
        }
    }

    /// The same session with what a refresh said about the person. Its end stays, and so does its last request: a refresh
    /// is none.
    #[must_use]
    pub fn refreshed(&self, identity: Identity) -> Self {
        Self {
            stated_email: identity.email.map(lower_case_domain),
            email_verified: identity.email_verified,
            claims: identity.claims,
            incomplete: BTreeSet::new(),
            ..self.clone()
        }
    }

    /// How often the session was refreshed.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.refresh
            .as_ref()
            .map_or(0, |refresh| refresh.generation)
    }

    /// Keeps an ID token for the provider's sign-out, unless there is none or it is too long for a cookie.
    pub(crate) fn keep_hint(&mut self, id_token: &str) {
        if !id_token.is_empty() && id_token.len() <= MAX_HINT {
            self.id_token = Some(id_token.to_owned());
        }
    }

    /// The same session with the digest of the terms on which it was made.
    #[must_use]
    pub fn chosen_for(self, digest: &str) -> Self {
        Self {
            chosen_for: digest.to_owned(),
            ..self
        }
    }

    /// Whether the session was made on these terms. One that began under another file may lack a claim that a new `deny` rule
    /// is about, or have an address that counts no more.
    #[must_use]
    pub fn answers(&self, digest: &str) -> bool {
        self.chosen_for == digest
    }

    /// The address that policies may rely on: none when the provider did not verify it.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        if self.email_verified {
            self.stated_email.as_deref()
        } else {
            None
        }
    }

    /// All values of a claim: looked up by its exact name, then without regard to case; none when it is missing.
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

    /// Whether the session keeps a claim of this name, in any case, be it without values.
    pub(crate) fn has_claim(&self, name: &str) -> bool {
        self.claims
            .keys()
            .any(|known| known.eq_ignore_ascii_case(name))
    }

    /// What to call the person on a page: the address they signed in with, else the provider's name for them.
    #[must_use]
    pub fn account(&self) -> &str {
        self.stated_email.as_deref().unwrap_or(&self.subject)
    }

    /// When the session ends.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        Timestamp(self.expires_at)
    }

    /// Whether the session is good at `now`: not from the future beyond `leeway`, and before its end.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now.0 < self.expires_at && self.signed_in_at <= now.plus(crate::limits::LEEWAY).0
    }
}

/// What a verified sign-in says about a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `sub`.
    pub subject: String,
    /// `email`, when it is a plausible text.
    pub email: Option<String>,
    /// Whether the configuration's rule on `email_verified` holds.
    pub email_verified: bool,
    /// Further claims, flattened: nested names joined by dots, every value in a list.
    pub claims: BTreeMap<String, Vec<Value>>,
}

/// Host names are equal without regard to case; local parts are the mail server's business.
#[must_use]
pub fn lower_case_domain(email: String) -> String {
    match email.rsplit_once('@') {
        Some((local, domain)) if domain.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            format!("{local}@{}", domain.to_ascii_lowercase())
        }
        _ => email,
    }
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
