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
    key: "jetway refreshes",
    count: 64,
    bytes: 64 * 1024,
};

/// For how long a refresh keeps others from beginning one, in seconds: three calls with their timeouts and some more. It
/// matters only when the worker that refreshes has died.
pub(crate) const LOCK: u64 = 45;

/// How long a request waits for the refresh of its session, in seconds from the beginning of the refresh: one call, and a
/// moment for the timer.
pub(crate) const REFRESH_WAIT: u64 = 12;

/// Marks an entry whose refresh is running. An entry without the mark is written as it was before there were marks.
const RUNNING: u8 = 0x80;

/// Shared sessions are sealed without a host: they are for all hosts of the deployment, and sealed again for one of them.
const EVERY_HOST: &str = "";

/// How many refresh states one module instance remembers. A lookup in the table copies a whole shard, which would be too slow for
/// every request.
const REMEMBERED: usize = 512;

/// The shared entry of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RefreshEntry {
    /// Whether a refresh may begin.
    pub(crate) turn: RefreshTurn,
    /// The outcome of the last refresh.
    pub(crate) outcome: RefreshOutcome,
}

/// Whether a refresh of a session may begin, and what keeps it from beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshTurn {
    /// A refresh is running. It counts as lost at this time.
    Running(Timestamp),
    /// No refresh begins before this time: the last one has failed.
    Paused(Timestamp),
}

impl Default for RefreshTurn {
    /// A refresh may begin at any time.
    fn default() -> Self {
        Self::Paused(Timestamp::default())
    }
}

impl RefreshTurn {
    /// Returns the turn of a refresh that begins now.
    pub(crate) const fn begin(now: Timestamp) -> Self {
        Self::Running(now.plus(LOCK))
    }

    /// Whether a refresh may begin.
    pub(crate) fn is_free(self, now: Timestamp) -> bool {
        let (Self::Running(until) | Self::Paused(until)) = self;
        until <= now
    }

    /// Returns until when requests wait for the refresh that is running. `None` when no refresh is running, or when it has
    /// taken so long that requests go on without it.
    pub(crate) fn waits_until(self, now: Timestamp) -> Option<Timestamp> {
        let Self::Running(lost_at) = self else {
            return None;
        };
        let until = Timestamp(lost_at.0.saturating_sub(LOCK - REFRESH_WAIT));
        // A clock that was set back must not make requests wait for longer.
        (now < until && until <= now.plus(REFRESH_WAIT)).then_some(until)
    }
}

/// The result of a refresh.
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
        let (until, rest) = bytes.split_first_chunk::<8>()?;
        let until = Timestamp(u64::from_be_bytes(*until));
        let (kind, rest) = rest.split_first()?;
        let (generation, rest) = rest.split_first_chunk::<4>()?;
        let generation = u32::from_be_bytes(*generation);
        let outcome = match kind & !RUNNING {
            1 => RefreshOutcome::Refreshed(generation, String::from_utf8(rest.to_vec()).ok()?),
            2 => RefreshOutcome::Ended(generation),
            _ => RefreshOutcome::None,
        };
        let turn = if kind & RUNNING == 0 {
            RefreshTurn::Paused(until)
        } else {
            RefreshTurn::Running(until)
        };
        Some(Self { turn, outcome })
    }

    /// The entry as bytes.
    pub(crate) fn write(&self) -> Vec<u8> {
        let (kind, generation, sealed) = match &self.outcome {
            RefreshOutcome::None => (0, 0, ""),
            RefreshOutcome::Refreshed(generation, sealed) => (1, *generation, sealed.as_str()),
            RefreshOutcome::Ended(generation) => (2, *generation, ""),
        };
        let (until, mark) = match self.turn {
            RefreshTurn::Running(until) => (until, RUNNING),
            RefreshTurn::Paused(until) => (until, 0),
        };
        let mut bytes = until.0.to_be_bytes().to_vec();
        bytes.push(kind | mark);
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
    /// Whether a refresh may begin.
    pub(crate) turn: RefreshTurn,
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
            turn: entry.turn,
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
    /// The session's shard, which follows from a digest of its id.
    shard: u16,
    /// The version of that shard when the state was read.
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
        // In this order: a change in between is noticed by the next lookup.
        let versions = REFRESH_STATES.read_versions(env.shared);
        let cached = self.states.find(session, |cached| {
            let is_current =
                cached.session == session && cached.version == version_in(&versions, cached.shard);
            is_current.then(|| Rc::clone(&cached.state))
        });
        cached.unwrap_or_else(|| {
            let shard = REFRESH_STATES.shard_of(&entry_name(session));
            let entry = REFRESH_STATES.find(env.shared, session, env.now);
            let entry = RefreshEntry::read(entry.as_deref());
            let state = Rc::new(RefreshState::open(&entry, sealer));
            self.states.insert(
                session,
                CachedState {
                    session: session.to_owned(),
                    shard,
                    version: version_in(&versions, shard),
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
        let until = Timestamp(1_800_000_000);
        for outcome in [
            RefreshOutcome::None,
            RefreshOutcome::Refreshed(7, "sealed".to_owned()),
            RefreshOutcome::Ended(u32::MAX),
        ] {
            for turn in [RefreshTurn::Running(until), RefreshTurn::Paused(until)] {
                let outcome = outcome.clone();
                let entry = RefreshEntry { turn, outcome };
                assert_eq!(RefreshEntry::read(Some(&entry.write())), entry);
            }
        }
        assert_eq!(
            RefreshEntry::read(Some(b"rubbish")),
            RefreshEntry::default()
        );
    }

    #[test]
    fn requests_wait_for_a_running_refresh_only_and_not_for_long() {
        let begun = Timestamp(1_800_000_000);
        let turn = RefreshTurn::begin(begun);
        let until = begun.plus(REFRESH_WAIT);
        for (age, waits_until, is_free) in [
            (0, Some(until), false),
            (REFRESH_WAIT - 1, Some(until), false),
            (REFRESH_WAIT, None, false),
            (LOCK - 1, None, false),
            (LOCK, None, true),
        ] {
            let now = begun.plus(age);
            assert_eq!(turn.waits_until(now), waits_until, "{age} s");
            assert_eq!(turn.is_free(now), is_free, "{age} s");
        }
        let pause = RefreshTurn::Paused(until);
        assert_eq!(pause.waits_until(begun), None);
        let set_back = Timestamp(begun.0 - 1);
        assert_eq!(turn.waits_until(set_back), None, "the clock was set back");
        assert!(!pause.is_free(begun) && pause.is_free(until));
        assert!(RefreshTurn::default().is_free(Timestamp(0)));
    }

    #[test]
    fn newer_sessions_are_left_and_older_ones_are_not() {
        let after = |outcome| RefreshEntry {
            turn: RefreshTurn::default(),
            outcome,
        };
        assert!(after(RefreshOutcome::None).leaves(0));
        let refreshed = after(RefreshOutcome::Refreshed(3, String::new()));
        assert!(!refreshed.leaves(2) && refreshed.leaves(3) && refreshed.leaves(4));
        let ended = after(RefreshOutcome::Ended(3));
        assert!(!ended.leaves(3) && ended.leaves(4));
    }
}
