//! What ends a session before its time: a sign-out here, or the provider's word that its own session is over.
//!
//! Sessions lie in browsers, so that a copy of a cookie lives on until somebody knows that it shall not. The lists of what
//! is over lie in the shared data: every worker sees a change with its next request, and a module instance that begins
//! anew finds them. A small value beside them counts their changes, so that a request usually costs one short look.
//!
//! They end with the process, and other instances do not see them.

mod list;

use std::cell::RefCell;
use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::env::Env;
use crate::limits::MAX_SESSION_LIFETIME;
use crate::session::Session;
use crate::store::{SharedData, update};
use crate::time::Timestamp;
use list::{Entry, List, NAME};

/// How many lists there are. Entries are spread over them by their names, so that one change makes workers read little.
const LISTS: usize = 64;
/// Most entries of one list, at 32 bytes each: 65,536 revocations in 2 MiB of shared data.
///
/// Only holders of a session and the provider make entries. When a list is full, sessions on it that are older than its
/// oldest entry end: nobody who was signed out comes back, and somebody who was not has to sign in again.
const MOST_ENTRIES: usize = 1024;
/// How many sessions a module instance remembers as not revoked.
const REMEMBERED: usize = 1024;
/// Key of the value that counts each list's changes.
const CHANGES: &str = "jetway revocations";
/// Length of one count.
const COUNT: usize = 4;

/// Whose sessions are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked<'a> {
    /// One session, by our name for it.
    Session(&'a str),
    /// Those that came out of one session at the provider (`sid`).
    ProviderSession {
        /// The provider's issuer.
        issuer: &'a str,
        /// Its name for the session.
        id: &'a str,
    },
    /// All those of a person (`sub`).
    Subject {
        /// The provider's issuer.
        issuer: &'a str,
        /// Its name for the person.
        id: &'a str,
    },
    /// Those of a person of which the provider told no session: they may be the one that it ended.
    SubjectAlone {
        /// The provider's issuer.
        issuer: &'a str,
        /// Its name for the person.
        id: &'a str,
    },
}

/// The revocation could not be stored; sessions may live on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the revocation could not be stored")]
pub(crate) struct NotStored;

/// What a module instance knows of the lists.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    seen: RefCell<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// [`CHANGES`] when the lists were read.
    changes: Vec<u8>,
    lists: Vec<Vec<u8>>,
    /// Names of sessions that these lists do not end.
    good: BTreeSet<String>,
}

impl Revoked<'_> {
    fn name(&self) -> [u8; NAME] {
        // Neither an issuer nor one of our names has an end of line in it.
        let text = match self {
            Self::Session(id) => format!("session\n{id}"),
            Self::ProviderSession { issuer, id } => format!("provider session\n{issuer}\n{id}"),
            Self::Subject { issuer, id } => format!("subject\n{issuer}\n{id}"),
            Self::SubjectAlone { issuer, id } => format!("subject alone\n{issuer}\n{id}"),
        };
        let mut name = [0; NAME];
        let digest = Sha256::digest(text.as_bytes());
        for (byte, digit) in name.iter_mut().zip(digest) {
            *byte = digit;
        }
        name
    }
}

/// Ends a session, by its name.
///
/// # Errors
/// When the shared data takes nothing more.
pub(crate) fn revoke_session(session: &Session, env: &Env<'_>) -> Result<(), NotStored> {
    let entry = Entry {
        name: Revoked::Session(&session.id).name(),
        begun_by: session.signed_in_at(),
        until: session.expires_at(),
    };
    store(entry, env)
}

/// Ends the sessions of somebody that have begun until now.
///
/// # Errors
/// When the shared data takes nothing more.
pub(crate) fn revoke(whom: &Revoked<'_>, env: &Env<'_>) -> Result<(), NotStored> {
    let entry = Entry {
        name: whom.name(),
        begun_by: env.now,
        // Not by the present configuration: a session may have begun under an earlier one.
        until: env.now.plus(MAX_SESSION_LIFETIME.as_secs()),
    };
    store(entry, env)
}

fn store(entry: Entry, env: &Env<'_>) -> Result<(), NotStored> {
    let place = place(&entry.name);
    let with = |list: &[u8]| Ok((List::read(list).with(entry, env.now, MOST_ENTRIES), ()));
    update(env.shared, &key(place), with).ok_or(NotStored)?;
    // Afterwards: whoever sees the new count reads a list that has the entry.
    update(env.shared, CHANGES, |counts| {
        Ok((counted(counts, place), ()))
    })
    .ok_or(NotStored)
}

/// The counts after a change of one list.
fn counted(counts: &[u8], place: usize) -> Vec<u8> {
    let mut counts = counts.to_vec();
    counts.resize(LISTS * COUNT, 0);
    if let Some(count) = counts.as_chunks_mut::<COUNT>().0.get_mut(place) {
        *count = u32::from_be_bytes(*count).wrapping_add(1).to_be_bytes();
    }
    counts
}

impl Revocations {
    /// Whether a session was ended.
    pub(crate) fn is_revoked(&self, session: &Session, issuer: &str, env: &Env<'_>) -> bool {
        let Some(mut seen) = self.see(env.shared) else {
            return false;
        };
        if seen.good.contains(&session.id) {
            return false;
        }
        let ended = seen.end(session, session.signed_in_at(), issuer);
        if !ended {
            if seen.good.len() >= REMEMBERED {
                seen.good.clear();
            }
            seen.good.insert(session.id.clone());
        }
        ended
    }

    /// Whether a session was ended that is about to begin out of a sign-in that began at `begun`: what the provider ended
    /// in between may be what it came out of.
    pub(crate) fn is_revoked_since(
        &self,
        begun: Timestamp,
        session: &Session,
        issuer: &str,
        env: &Env<'_>,
    ) -> bool {
        let seen = self.see(env.shared);
        seen.is_some_and(|seen| seen.end(session, begun, issuer))
    }

    /// The lists as they are now; `None` when nothing was ever revoked.
    fn see(&self, shared: &dyn SharedData) -> Option<std::cell::RefMut<'_, Seen>> {
        let (changes, _) = shared.read(CHANGES)?;
        let mut seen = self.seen.borrow_mut();
        if seen.changes != changes {
            seen.read(changes, shared);
        }
        Some(seen)
    }
}

impl Seen {
    /// Reads those lists that have changed.
    fn read(&mut self, changes: Vec<u8>, shared: &dyn SharedData) {
        self.lists.resize(LISTS, Vec::new());
        self.good.clear();
        let (before, now) = (self.changes.as_chunks::<COUNT>().0, changes.as_chunks().0);
        for (place, list) in self.lists.iter_mut().enumerate() {
            if before.get(place) != now.get(place) {
                *list = shared
                    .read(&key(place))
                    .map(|(list, _)| list)
                    .unwrap_or_default();
            }
        }
        self.changes = changes;
    }

    fn end(&self, session: &Session, begun: Timestamp, issuer: &str) -> bool {
        let subject = &session.subject;
        let of_person = Revoked::Subject {
            issuer,
            id: subject,
        };
        let of_provider = match &session.provider_session {
            Some(id) => Revoked::ProviderSession { issuer, id },
            None => Revoked::SubjectAlone {
                issuer,
                id: subject,
            },
        };
        self.has(&Revoked::Session(&session.id), None, begun)
            || self.has(&of_person, Some(begun), begun)
            || self.has(&of_provider, Some(begun), begun)
    }

    /// Whether a list has an entry of this name, about sessions as old as `oldest` if there is such a bound, or had to
    /// give up what was about sessions that began at `begun`.
    fn has(&self, whom: &Revoked<'_>, oldest: Option<Timestamp>, begun: Timestamp) -> bool {
        let name = whom.name();
        let bytes = self.lists.get(place(&name)).map(Vec::as_slice);
        let list = List::read(bytes.unwrap_or_default());
        let found = list.find(&name);
        begun <= list.watermark
            || found.is_some_and(|entry| oldest.is_none_or(|oldest| oldest <= entry.begun_by))
    }
}

fn place(name: &[u8; NAME]) -> usize {
    let [first, ..] = *name;
    usize::from(first) % LISTS
}

fn key(place: usize) -> String {
    format!("jetway revocations {place}")
}

#[cfg(test)]
mod tests;
