//! How a session stands in this process: what its renewals made of it, as all workers share it.

use std::cell::RefCell;
use std::rc::Rc;

use crate::env::{Env, Timestamp};
use crate::session::Session;
use crate::session::seal::{Purpose, Sealer};
use crate::store::{Shelves, news};

/// The standings of a process, by the sessions' names. A renewed session takes one to five KB, so that this is room for
/// about a thousand whose browsers have not come back for them; who comes later signs in again.
pub(crate) const STANDINGS: Shelves = Shelves {
    kind: "renewals",
    count: 64,
    bytes: 64 * 1024,
};

/// For how long a renewal keeps others from beginning one, in seconds: three calls with their timeouts and some more. It
/// matters only when whoever renews has died.
pub(crate) const LOCK: u64 = 45;

/// Sealed for the deployment, not for one of its hosts: a host seals what it takes from here for itself.
const EVERY_HOST: &str = "";

/// How many standings one instance remembers. Looking into a shelf copies all of it, which is not for every request.
const REMEMBERED: usize = 512;

/// An entry as it lies on the shelf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Until then nobody else may begin a renewal.
    pub(crate) busy_until: Timestamp,
    /// What became of the last one.
    pub(crate) outcome: Outcome,
}

/// What became of a renewal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There was none.
    #[default]
    None,
    /// A session of this generation, sealed.
    Renewed(u32, String),
    /// The session is over, with all generations up to this.
    Ended(u32),
}

impl Entry {
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
            1 => Outcome::Renewed(generation, String::from_utf8(rest.to_vec()).ok()?),
            2 => Outcome::Ended(generation),
            _ => Outcome::None,
        };
        Some(Self {
            busy_until: Timestamp(u64::from_be_bytes(*busy_until)),
            outcome,
        })
    }

    /// The entry as bytes.
    pub(crate) fn write(&self) -> Vec<u8> {
        let (kind, generation, sealed) = match &self.outcome {
            Outcome::None => (0, 0, ""),
            Outcome::Renewed(generation, sealed) => (1, *generation, sealed.as_str()),
            Outcome::Ended(generation) => (2, *generation, ""),
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
            Outcome::None => true,
            Outcome::Renewed(newest, _) => newest <= generation,
            Outcome::Ended(last) => last < generation,
        }
    }
}

/// A session, sealed for all workers and hosts.
pub(crate) fn seal_for_all(
    session: &Session,
    sealer: &Sealer,
    env: &mut Env<'_>,
) -> Option<String> {
    let plaintext = serde_json::to_vec(session).ok()?;
    let sealed = sealer.seal(Purpose::Shared, EVERY_HOST, &plaintext, env);
    sealed.ok()
}

/// How a session stands.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Until then nobody else may begin a renewal.
    pub(crate) busy_until: Timestamp,
    /// The newest session of this name.
    pub(crate) newest: Option<Rc<Session>>,
    /// The session is over, with all generations up to this.
    pub(crate) ended: Option<u32>,
}

impl Standing {
    fn of(entry: Entry, sealer: &Sealer) -> Self {
        let open = |sealed: &str| {
            let opened = sealer.open(Purpose::Shared, EVERY_HOST, sealed.as_bytes())?;
            serde_json::from_slice(&opened.plaintext).ok().map(Rc::new)
        };
        let (newest, ended) = match &entry.outcome {
            Outcome::None => (None, None),
            Outcome::Renewed(_, sealed) => (open(sealed), None),
            Outcome::Ended(generation) => (None, Some(*generation)),
        };
        Self {
            busy_until: entry.busy_until,
            newest,
            ended,
        }
    }
}

/// Standings that one instance has looked up. A table with one place per slot needs no bookkeeping and cannot grow.
#[derive(Debug)]
pub(crate) struct Standings {
    slots: RefCell<Vec<Option<Known>>>,
}

#[derive(Debug)]
struct Known {
    session: String,
    news_key: String,
    news: u64,
    standing: Rc<Standing>,
}

impl Default for Standings {
    fn default() -> Self {
        let slots = std::iter::repeat_with(|| None).take(REMEMBERED);
        Self {
            slots: RefCell::new(slots.collect()),
        }
    }
}

impl Standings {
    /// How the session of this name stands. Most often this costs one look at a number.
    pub(crate) fn of(&self, session: &str, sealer: &Sealer, env: &Env<'_>) -> Rc<Standing> {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(slot(session)) else {
            return Rc::default();
        };
        let news_key = match slot {
            Some(known) if known.session == session => {
                if news(env.shared, &known.news_key) == known.news {
                    return Rc::clone(&known.standing);
                }
                std::mem::take(&mut known.news_key)
            }
            _ => STANDINGS.news_key(session),
        };
        // In this order: news that comes in between is looked at once more.
        let news = news(env.shared, &news_key);
        let entry = STANDINGS.find(env.shared, session, env.now);
        let standing = Rc::new(Standing::of(Entry::read(entry.as_deref()), sealer));
        *slot = Some(Known {
            session: session.to_owned(),
            news_key,
            news,
            standing: Rc::clone(&standing),
        });
        standing
    }
}

/// Names of sessions are random texts.
fn slot(session: &str) -> usize {
    let mixed = session.bytes().fold(0_usize, |mixed, byte| {
        mixed.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    mixed % REMEMBERED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written() {
        for outcome in [
            Outcome::None,
            Outcome::Renewed(7, "sealed".to_owned()),
            Outcome::Ended(u32::MAX),
        ] {
            let entry = Entry {
                busy_until: Timestamp(1_800_000_000),
                outcome,
            };
            assert_eq!(Entry::read(Some(&entry.write())), entry);
        }
        assert_eq!(Entry::read(Some(b"rubbish")), Entry::default());
    }

    #[test]
    fn newer_sessions_are_left_and_older_ones_are_not() {
        let after = |outcome| Entry {
            busy_until: Timestamp(0),
            outcome,
        };
        assert!(after(Outcome::None).leaves(0));
        let renewed = after(Outcome::Renewed(3, String::new()));
        assert!(!renewed.leaves(2) && renewed.leaves(3) && renewed.leaves(4));
        let ended = after(Outcome::Ended(3));
        assert!(!ended.leaves(3) && ended.leaves(4));
    }
}
