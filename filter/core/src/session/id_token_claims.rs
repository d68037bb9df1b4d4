//! The claims that an ID token has stated, which a refresh without an ID token keeps.
//!
//! A provider may answer a refresh without an ID token (OpenID Connect Core 1.0 section 12.2). Then UserInfo alone says
//! what is new about the user. It need not repeat what only ID tokens have, such as the groups: a claim that it does not
//! name stays, or a `deny` rule about that claim would stop matching. A claim that came from UserInfo and is not named any
//! more is gone, or an `allow` rule about it would go on matching.

use serde_json::{Map, Value};

use crate::session::{Identity, Session};

/// The statements of UserInfo in a refresh that brought no ID token.
pub(crate) struct UserInfoUpdate<'a> {
    /// The identity in its claims.
    pub(crate) identity: Identity,
    /// Its claims.
    pub(crate) claims: &'a Map<String, Value>,
    /// Whether it says anything about the proof of an email address.
    pub(crate) has_email_proof: bool,
}

impl UserInfoUpdate<'_> {
    /// Returns whether UserInfo names a claim, which may be nested and flattened. Case does not matter, as in
    /// [`Session::claim`].
    fn has_named(&self, name: &str) -> bool {
        self.claims.keys().any(|named| is_within(name, named))
    }
}

impl Session {
    /// Notes which claims of the session are among those of an ID token. `proves_email` is whether the ID token alone has
    /// the session's email address and says as much about its verification.
    pub(crate) fn note_id_token(&mut self, stated: &Map<String, Value>, proves_email: bool) {
        // Only a refresh needs to know.
        if self.refresh.is_none() {
            return;
        }
        let names = self.claims.keys();
        let is_stated = |name: &&String| stated.keys().any(|stated| is_within(name, stated));
        self.from_id_token = names.filter(is_stated).cloned().collect();
        self.is_email_from_id_token = proves_email;
    }

    /// Returns the session with what UserInfo alone says in a refresh. Claims of the ID token that UserInfo does not name
    /// stay.
    ///
    /// An address that was not verified stays so: only an ID token takes back a denial.
    pub(crate) fn updated(&self, mut update: UserInfoUpdate<'_>) -> Self {
        let keeps_email = self.keeps_email(&update);
        if keeps_email {
            update.identity.email.clone_from(&self.stated_email);
            update.identity.email_verified = self.email_verified;
        }
        update.identity.email_verified &= !self.has_unverified_email();
        let is_kept = |name: &&String| (keeps_email && is_email(name)) || !update.has_named(name);
        let kept: Vec<&String> = self.from_id_token.iter().filter(is_kept).collect();
        let mut session = self.refreshed(update.identity.clone());
        for name in &kept {
            if let Some(values) = self.claims.get(*name) {
                session.claims.insert((*name).clone(), values.clone());
            }
            if self.incomplete.contains(*name) {
                session.incomplete.insert((*name).clone());
            }
        }
        session.from_id_token = kept.into_iter().cloned().collect();
        session.is_email_from_id_token = keeps_email;
        if session.email().is_none() {
            session.claims.retain(|name, _| !is_email(name));
        }
        session
    }

    /// Returns whether the address and its verification stay as the ID token stated them: UserInfo says nothing about the
    /// verification, and names no other address.
    fn keeps_email(&self, update: &UserInfoUpdate<'_>) -> bool {
        let is_same = match &update.identity.email {
            Some(email) => self.stated_email.as_ref() == Some(email),
            None => !update.has_named("email"),
        };
        self.is_email_from_id_token && is_same && !update.has_email_proof
    }
}

/// Returns whether a claim, whose nested names are joined by dots, is a claim of this name or within one.
fn is_within(name: &str, outer: &str) -> bool {
    let Some((start, rest)) = name.split_at_checked(outer.len()) else {
        return false;
    };
    start.eq_ignore_ascii_case(outer) && (rest.is_empty() || rest.starts_with('.'))
}

fn is_email(name: &str) -> bool {
    name.eq_ignore_ascii_case("email")
}
