//! The state of session refreshes in the shared data: which refreshes are running, and their outcomes.

use std::rc::Rc;

use crate::env::Env;
use crate::session::Session;
use crate::session::seal::{Purpose, Sealer};
use crate::store::slot_cache::SlotCache;
use crate::store::{ExpiringTable, entry_name, version_in};
use crate::time::Timestamp;

/// The refresh states of a process, by session id. A refreshed session takes one to five KB, so that there is room for about a
/// thousand that no browser has picked up yet. A browser that returns after its state was dropped signs in again.
pub(crate) const REFRESH_STATES: ExpiringTable = ExpiringTable {
    kind: "refreshes",
    count: 64,
    bytes: 64 * 1024,
};

/// For how long a refresh keeps others from beginning one, in seconds: three calls with their timeouts and some more. It
/// matters only when whoever refreshes has died.
pub(crate) const LOCK: u64 = 45;

/// Shared sessions are sealed without a host: they are for all hosts of the deployment, and sealed again for one of them.
const EVERY_HOST: &str = "";

/// How many refresh states one module instance remembers. A lookup in the table copies a whole shard, which would be too slow for
/// every request.
const REMEMBERED: usize = 512;

/// An entry as it lies on the shelf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RefreshEntry {
    /// Until then nobody else may begin a refresh.
    pub(crate) busy_until: Timestamp,
    /// What became of the last one.
    pub(crate) outcome: RefreshOutcome,
}

/// What became of a refresh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum RefreshOutcome {
    /// There was none.
    #[default]
    None,
    /// A session of this generation, sealed.
    Refreshed(u32, String),
    /// The session is over, with all generations up to this.
    Ended(u32),
}

impl RefreshEntry {
    /// Reads an entry; what is none is an empty one.
    pub(crate) fn read(bytes: Option<&[u8]>) -> Self {
        bytes.and_then(Self::read_whole).unwrap_or_default()
    }

    fn read_whole(bytes: &[u8]) -> Option<Self> {
        let (busy_until, rest) = bytes.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let (generation, rest) = rest.split_first_chunk::<4>()?;
        let generation = u32::from_be_bytes(*generation);
        let outcome = match kind {
            1 => RefreshOutcome::Refreshed(generation, String::from_utf8(rest.to_vec()).ok()?),
            2 => RefreshOutcome::Ended(generation),
            _ => RefreshOutcome::None,
        };
        Some(Self {
            busy_until: Timestamp(u64::from_be_bytes(*busy_until)),
            outcome,
        })
    }

    /// The entry as bytes.
    pub(crate) fn write(&self) -> Vec<u8> {
        let (kind, generation, sealed) = match &self.outcome {
            RefreshOutcome::None => (0, 0, ""),
            RefreshOutcome::Refreshed(generation, sealed) => (1, *generation, sealed.as_str()),
            RefreshOutcome::Ended(generation) => (2, *generation, ""),
        };
        let mut bytes = self.busy_until.0.to_be_bytes().to_vec();
        bytes.push(kind);
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes.extend_from_slice(sealed.as_bytes());
        bytes
    }

    /// Whether a session of this generation is neither over nor replaced by a newer one.
    pub(crate) fn leaves(&self, generation: u32) -> bool {
        match self.outcome {
            RefreshOutcome::None => true,
            RefreshOutcome::Refreshed(newest, _) => newest <= generation,
            RefreshOutcome::Ended(last) => last < generation,
        }
    }
}

/// Seals a session for all workers and hosts.
pub(crate) fn seal_for_all(
    session: &Session,
    sealer: &Sealer,
    env: &mut Env<'_>,
) -> Option<String> {
    let plaintext = serde_json::to_vec(session).ok()?;
    let sealed = sealer.seal(Purpose::Shared, EVERY_HOST, &plaintext, env);
    sealed.ok()
}

/// The refresh state of one session.
#[derive(Debug, Default)]
pub(crate) struct RefreshState {
    /// Until then nobody else may begin a refresh.
    pub(crate) busy_until: Timestamp,
    /// The newest session with this id.
    pub(crate) newest: Option<Rc<Session>>,
    /// The last generation of the session if it has ended.
    pub(crate) ended: Option<u32>,
}

impl RefreshState {
    fn open(entry: &RefreshEntry, sealer: &Sealer) -> Self {
        let open = |sealed: &str| {
            let opened = sealer.open(Purpose::Shared, EVERY_HOST, sealed.as_bytes())?;
            serde_json::from_slice(&opened.plaintext).ok().map(Rc::new)
        };
        let (newest, ended) = match &entry.outcome {
            RefreshOutcome::None => (None, None),
            RefreshOutcome::Refreshed(_, sealed) => (open(sealed), None),
            RefreshOutcome::Ended(generation) => (None, Some(*generation)),
        };
        Self {
            busy_until: entry.busy_until,
            newest,
            ended,
        }
    }
}

/// The refresh states that one module instance has looked up.
#[derive(Debug, Default)]
pub(crate) struct RefreshCache {
    states: SlotCache<CachedState, REMEMBERED>,
}

#[derive(Debug)]
struct CachedState {
    session: String,
    /// The version of the session's shard when the state was read.
    version: u32,
    state: Rc<RefreshState>,
}

impl RefreshCache {
    /// Returns the refresh state of a session. Unless its shard has changed, that costs a look at the versions.
    pub(crate) fn look_up(
        &self,
        session: &str,
        sealer: &Sealer,
        env: &Env<'_>,
    ) -> Rc<RefreshState> {
        let shard = REFRESH_STATES.shard_of(&entry_name(session));
        // In this order: a change in between is noticed by the next lookup.
        let version = version_in(&REFRESH_STATES.read_versions(env.shared), shard);
        let cached = self.states.find(session, |cached| {
            let is_current = cached.session == session && cached.version == version;
            is_current.then(|| Rc::clone(&cached.state))
        });
        cached.unwrap_or_else(|| {
            let entry = REFRESH_STATES.find(env.shared, session, env.now);
            let entry = RefreshEntry::read(entry.as_deref());
            let state = Rc::new(RefreshState::open(&entry, sealer));
            self.states.insert(
                session,
                CachedState {
                    session: session.to_owned(),
                    version,
                    state: Rc::clone(&state),
                },
            );
            state
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written() {
        for outcome in [
            RefreshOutcome::None,
            RefreshOutcome::Refreshed(7, "sealed".to_owned()),
            RefreshOutcome::Ended(u32::MAX),
        ] {
            let entry = RefreshEntry {
                busy_until: Timestamp(1_800_000_000),
                outcome,
            };
            assert_eq!(RefreshEntry::read(Some(&entry.write())), entry);
        }
        assert_eq!(
            RefreshEntry::read(Some(b"rubbish")),
            RefreshEntry::default()
        );
    }

    #[test]
    fn newer_sessions_are_left_and_older_ones_are_not() {
        let after = |outcome| RefreshEntry {
            busy_until: Timestamp(0),
            outcome,
        };
        assert!(after(RefreshOutcome::None).leaves(0));
        let refreshed = after(RefreshOutcome::Refreshed(3, String::new()));
        assert!(!refreshed.leaves(2) && refreshed.leaves(3) && refreshed.leaves(4));
        let ended = after(RefreshOutcome::Ended(3));
        assert!(!ended.leaves(3) && ended.leaves(4));
    }
}
