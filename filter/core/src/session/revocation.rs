//! Revocations: what ends a session before it expires, which is a sign-out here or the logout of the provider's own session.
//!
//! Sessions are cookies, so that a copy of one lives on until a revocation is stored. Revocations are in the shared data: every
//! worker sees one with its next request, and so does a module instance that starts later. A small value with the versions of
//! the table's shards makes that cheap: a request usually reads nothing else.
//!
//! Revocations are lost with the process, and other machines do not see them.

use std::cell::{RefCell, RefMut};

use rustc_hash::FxHashSet;

use crate::env::Env;
use crate::limits::MAX_SESSION_LIFETIME;
use crate::session::Session;
use crate::store::{ExpiringTable, Shard, SharedData, entry_name, version_in};
use crate::time::Timestamp;

/// The revocations of a process: 65,536 in 2.3 MiB of shared data. An entry is the time until which the revoked sessions began.
///
/// Only the holder of a session and the provider make entries. When a shard is full, sessions of that shard that are older than
/// its oldest entry end: no revoked session becomes valid again, and some users have to sign in again.
const REVOCATIONS: ExpiringTable = ExpiringTable {
    key: "jetway revocations",
    count: 64,
    bytes: 8 + 1024 * 36,
};
/// How many sessions a module instance remembers as not revoked.
const REMEMBERED: usize = 1024;

/// The sessions that a revocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked<'a> {
    /// One session, by its id.
    Session(&'a str),
    /// The sessions that came from one session at the provider (`sid`).
    ProviderSession {
        /// The provider's issuer.
        issuer: &'a str,
        /// The provider's id of the session.
        id: &'a str,
    },
    /// All sessions of a user (`sub`).
    Subject {
        /// The provider's issuer.
        issuer: &'a str,
        /// The provider's id of the user.
        id: &'a str,
    },
    /// The sessions of a user for which the provider has stated no `sid`: each may be the one that it has ended.
    SubjectAlone {
        /// The provider's issuer.
        issuer: &'a str,
        /// The provider's id of the user.
        id: &'a str,
    },
}

/// The revocation could not be stored; sessions may live on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the revocation could not be stored")]
pub(crate) struct NotStored;

/// The part of the table that a module instance has read.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    seen: RefCell<SeenRevocations>,
}

#[derive(Debug, Default)]
struct SeenRevocations {
    /// The versions of the shards when they were read.
    versions: Vec<u8>,
    shards: Vec<Vec<u8>>,
    /// Ids of sessions that these shards do not revoke.
    unrevoked: FxHashSet<String>,
}

impl Revoked<'_> {
    fn name(&self) -> String {
        // Neither an issuer nor a session id of ours contains a line feed, so that no two revocations have one name.
        match self {
            Self::Session(id) => format!("session\n{id}"),
            Self::ProviderSession { issuer, id } => format!("provider session\n{issuer}\n{id}"),
            Self::Subject { issuer, id } => format!("subject\n{issuer}\n{id}"),
            Self::SubjectAlone { issuer, id } => format!("subject alone\n{issuer}\n{id}"),
        }
    }
}

/// Ends one session.
///
/// # Errors
/// The shared data does not accept the change.
pub(crate) fn revoke_session(session: &Session, env: &Env<'_>) -> Result<(), NotStored> {
    let revoked = Revoked::Session(&session.id);
    store(&revoked, session.signed_in_at(), session.expires_at(), env)
}

/// Ends the sessions that have begun until now.
///
/// # Errors
/// The shared data does not accept the change.
pub(crate) fn revoke(revoked: &Revoked<'_>, env: &Env<'_>) -> Result<(), NotStored> {
    // The longest lifetime, not that of the active configuration: a session may have begun under an earlier one.
    let until = env.now.plus(MAX_SESSION_LIFETIME.as_secs());
    store(revoked, env.now, until, env)
}

fn store(
    revoked: &Revoked<'_>,
    begun_by: Timestamp,
    until: Timestamp,
    env: &Env<'_>,
) -> Result<(), NotStored> {
    let name = revoked.name();
    REVOCATIONS
        .raise_or_insert(env.shared, &name, env.now, (begun_by, until))
        .ok_or(NotStored)?;
    // In this order: a worker that sees the new version reads a shard that has the entry.
    REVOCATIONS.bump_version(env.shared, &name).ok_or(NotStored)
}

impl Revocations {
    /// Returns whether a session is revoked.
    pub(crate) fn is_revoked(&self, session: &Session, issuer: &str, env: &Env<'_>) -> bool {
        let Some(mut seen) = self.read_changes(env.shared) else {
            return false;
        };
        if seen.unrevoked.contains(&session.id) {
            return false;
        }
        let is_revoked = seen.is_revoked(session, session.signed_in_at(), issuer);
        if !is_revoked {
            if seen.unrevoked.len() >= REMEMBERED {
                seen.unrevoked.clear();
            }
            seen.unrevoked.insert(session.id.clone());
        }
        is_revoked
    }

    /// Returns whether a new session is revoked whose sign-in began at `begun`: the provider may have ended its own session in
    /// the meantime.
    pub(crate) fn is_revoked_since(
        &self,
        begun: Timestamp,
        session: &Session,
        issuer: &str,
        env: &Env<'_>,
    ) -> bool {
        let seen = self.read_changes(env.shared);
        seen.is_some_and(|seen| seen.is_revoked(session, begun, issuer))
    }

    /// Reads the shards that have changed; `None` when nothing was ever revoked.
    fn read_changes(&self, shared: &dyn SharedData) -> Option<RefMut<'_, SeenRevocations>> {
        let versions = REVOCATIONS.read_versions(shared);
        if versions.is_empty() {
            return None;
        }
        let mut seen = self.seen.borrow_mut();
        if seen.versions != versions {
            seen.read_shards(versions, shared);
        }
        Some(seen)
    }
}

impl SeenRevocations {
    fn read_shards(&mut self, versions: Vec<u8>, shared: &dyn SharedData) {
        let count = usize::from(REVOCATIONS.count);
        self.shards.resize(count, Vec::new());
        self.unrevoked.clear();
        for (number, shard) in (0..).zip(self.shards.iter_mut()) {
            if version_in(&self.versions, number) != version_in(&versions, number) {
                *shard = REVOCATIONS.read_shard(shared, number).unwrap_or_default();
            }
        }
        self.versions = versions;
    }

    fn is_revoked(&self, session: &Session, begun: Timestamp, issuer: &str) -> bool {
        let id = session.subject.as_str();
        let by_user = Revoked::Subject { issuer, id };
        let by_provider = match &session.provider_session {
            Some(id) => Revoked::ProviderSession { issuer, id },
            None => Revoked::SubjectAlone { issuer, id },
        };
        // An entry about one session counts whenever that began: by the id it can only be this one.
        self.has(&Revoked::Session(&session.id), Timestamp(0), begun)
            || self.has(&by_user, begun, begun)
            || self.has(&by_provider, begun, begun)
    }

    /// Returns whether there is a revocation of sessions that began at `least` or later, or one of sessions that began at
    /// `begun` may have been dropped.
    fn has(&self, revoked: &Revoked<'_>, least: Timestamp, begun: Timestamp) -> bool {
        let name = entry_name(&revoked.name());
        let bytes = self.shards.get(usize::from(REVOCATIONS.shard_of(&name)));
        let shard = Shard::parse(bytes.map(Vec::as_slice).unwrap_or_default());
        let found = shard.find(&name);
        begun <= shard.watermark || found.is_some_and(|entry| least <= entry.time())
    }
}

#[cfg(test)]
mod tests;
