//! The claims that an ID token has stated, which a refresh without an ID token keeps.
//!
//! A provider may answer a refresh without an ID token (OpenID Connect Core 1.0 section 12.2). Then UserInfo alone says
//! what is new about the user. It need not repeat what only ID tokens have, such as the groups: a claim that it does not
//! name stays, or a `deny` rule about that claim would stop matching. A claim that UserInfo has named, alone or like the
//! ID token, and does not name any more is gone, or an `allow` rule about it would go on matching.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::session::{Identity, Session};

/// The statements of UserInfo in a refresh that brought no ID token.
pub(crate) struct UserInfoUpdate {
    /// The identity in its claims.
    pub(crate) identity: Identity,
    /// The claims that it names.
    pub(crate) named: NamedClaims,
    /// Whether it says anything about the proof of an email address.
    pub(crate) has_email_proof: bool,
    /// Whether it denies that an email address is the user's.
    pub(crate) has_email_denial: bool,
}

impl UserInfoUpdate {
    /// Returns whether the denial of an email address counts: the operator may have turned its verification off.
    const fn is_email_denied(&self) -> bool {
        self.has_email_denial && !self.identity.email_verified
    }
}

/// What the ID token and UserInfo of one flow have stated.
pub(crate) struct StatedClaims<'a> {
    /// The claims of the ID token.
    pub(crate) id_token: &'a Map<String, Value>,
    /// The claims that UserInfo names, if it was asked.
    pub(crate) userinfo: Option<NamedClaims>,
    /// Whether the ID token alone has the session's email address and says as much about its verification.
    pub(crate) is_email_proven: bool,
}

/// The flattened names of the claims in a UserInfo. `null` names nothing: some providers write it for a claim that they do
/// not know.
pub(crate) struct NamedClaims(BTreeSet<String>);

impl NamedClaims {
    /// Takes the names of flattened claims.
    pub(crate) fn of(flattened: BTreeMap<String, Vec<Value>>) -> Self {
        let named = flattened
            .into_iter()
            .filter(|(_, values)| *values != [Value::Null]);
        Self(named.map(|(name, _)| name).collect())
    }

    /// Returns whether these names include a flattened one, or the claim that it is nested in. Case does not matter, as in
    /// [`Session::claim`].
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|named| is_within(name, named))
    }
}

impl Session {
    /// Notes which claims of the session are those of an ID token. A claim that UserInfo has named as well follows
    /// UserInfo; the email address has rules of its own.
    pub(crate) fn note_id_token(&mut self, stated: &StatedClaims<'_>) {
        // Only a refresh needs to know.
        if self.refresh.is_none() {
            return;
        }
        let userinfo = stated.userinfo.as_ref();
        let is_of_userinfo = |name: &str| userinfo.is_some_and(|named| named.has(name));
        let is_stated = |name: &&String| {
            let mut names = stated.id_token.keys();
            names.any(|stated| is_within(name, stated)) && (is_email(name) || !is_of_userinfo(name))
        };
        self.from_id_token = self.claims.keys().filter(is_stated).cloned().collect();
        self.is_email_from_id_token = stated.is_email_proven;
    }

    /// Returns the session with what UserInfo alone says in a refresh. Claims of the ID token that UserInfo does not name
    /// stay.
    ///
    /// An address that was not verified stays so: only an ID token takes back a denial.
    pub(crate) fn updated(&self, mut update: UserInfoUpdate) -> Self {
        let keeps_email = self.keeps_email(&update);
        if keeps_email {
            let is_denied = update.is_email_denied();
            update.identity.email.clone_from(&self.stated_email);
            update.identity.email_verified = self.email_verified && !is_denied;
        }
        update.identity.email_verified &= !self.has_unverified_email();
        let is_kept = |name: &&String| (keeps_email && is_email(name)) || !update.named.has(name);
        let kept: BTreeSet<String> = self.from_id_token.iter().filter(is_kept).cloned().collect();
        let mut session = self.refreshed(update.identity);
        session.keep_claims(&kept, self);
        session.from_id_token = kept;
        session.is_email_from_id_token = keeps_email && self.is_email_from_id_token;
        if session.email().is_none() {
            session.claims.retain(|name, _| !is_email(name));
        }
        session
    }

    /// Takes these claims from the session before the refresh. They replace a `null` of the same name in another case.
    fn keep_claims(&mut self, kept: &BTreeSet<String>, before: &Self) {
        let is_same = |name: &String| kept.iter().any(|kept| kept.eq_ignore_ascii_case(name));
        self.claims.retain(|name, _| !is_same(name));
        for name in kept {
            if let Some(values) = before.claims.get(name) {
                self.claims.insert(name.clone(), values.clone());
            }
            if before.incomplete.contains(name) {
                self.incomplete.insert(name.clone());
            }
        }
    }

    /// Returns whether the address stays when UserInfo does not name it, or names the same one and says nothing about its
    /// verification: an address of the ID token, and one that is denied, so that the denial is not forgotten.
    fn keeps_email(&self, update: &UserInfoUpdate) -> bool {
        let Some(email) = &update.identity.email else {
            let is_denied = self.has_unverified_email() || update.is_email_denied();
            return is_denied || (self.is_email_from_id_token && !update.named.has("email"));
        };
        let is_same = self.stated_email.as_ref() == Some(email);
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
