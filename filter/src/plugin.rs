//! What all requests of one plugin share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use jetway_core::env::{Env, NoRandomness};
use jetway_core::gate::Gate;
use jetway_core::gate::Refreshing;
use jetway_core::gate::open_stream::{OpenStream, RecheckRound};
use jetway_core::gate::step::Forwarded;
use jetway_core::gate::waiting::Waiting;
use jetway_core::refusal::repeats::Repeats;
use jetway_core::store::SharedData;
use jetway_core::time::Timestamp;
use proxy_wasm::hostcalls;

/// How often to look after held requests and the provider, while there are held requests.
pub(crate) const BUSY_TICK: Duration = Duration::from_millis(50);
/// How soon to send what only the timer can send.
pub(crate) const SOON: Duration = Duration::from_millis(5);
/// How often to look after the provider and open streams otherwise. A stream that may not stay open ends within five
/// seconds of what ended its permission.
pub(crate) const IDLE_TICK: Duration = Duration::from_secs(2);
/// How many requests may wait for the provider's metadata; further ones are answered at once. A held request costs the
/// body its connection and headers, so the number bounds what an unreachable provider can pile up.
pub(crate) const MAX_HELD: usize = 1024;

/// One configured plugin.
pub(crate) struct Plugin {
    pub(crate) gate: Gate,
    /// What it is called among the plugins of a body.
    pub(crate) name: String,
    /// Calls to the provider that are out, by token.
    pub(crate) calls: RefCell<HashMap<u32, Pending>>,
    /// Requests that wait for the provider's metadata or for the refresh of their session.
    pub(crate) held: RefCell<Vec<Held>>,
    /// What the permissions of requests that were let through rest on, until they are over.
    pub(crate) watched: RefCell<HashMap<u32, OpenStream>>,
    /// When the last recheck of all of them began.
    pub(crate) looked_at: Cell<Timestamp>,
    /// The streams that are left of that recheck.
    pub(crate) round: RefCell<RecheckRound>,
    /// Answers that are summed up in the log.
    pub(crate) repeats: RefCell<Repeats>,
    /// The timer's present period.
    tick: Cell<Duration>,
}

/// For what a call is out.
pub(crate) enum Pending {
    /// Metadata and keys, for everybody.
    Provider,
    /// One request that waits.
    Request(Stream, Waiting),
    /// The refresh of a session, for everybody who has it.
    RefreshGrant(Box<Refreshing>),
}

/// A request that is held.
pub(crate) struct Held {
    pub(crate) stream: Stream,
    pub(crate) until: Timestamp,
}

/// One request, as other contexts know it.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) id: u32,
    pub(crate) fate: Rc<RefCell<Fate>>,
    pub(crate) arrival: Rc<Cell<Arrival>>,
}

/// How much of a request has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Its headers; its body is coming.
    #[default]
    Headers,
    /// All, and it has no body.
    WithoutBody,
    /// All, and the body of the proxy keeps its body.
    Whole,
}

/// What became of a request.
#[derive(Default)]
pub(crate) enum Fate {
    /// Nothing yet, or our own answer, which is right as it is.
    #[default]
    Kept,
    /// It waits for its body, of which so much is read at the most.
    AwaitsBody(usize),
    /// It was let through, and its answer is edited by this.
    Forwarded(Forwarded),
}

impl Plugin {
    pub(crate) fn new(gate: Gate, name: String) -> Self {
        Self {
            gate,
            name,
            calls: RefCell::default(),
            held: RefCell::default(),
            watched: RefCell::default(),
            looked_at: Cell::default(),
            round: RefCell::default(),
            repeats: RefCell::default(),
            tick: Cell::default(),
        }
    }

    /// Sets the timer's period, unless it is what it is: setting it begins a new period.
    pub(crate) fn tick_every(&self, period: Duration) {
        if self.tick.replace(period) != period && hostcalls::set_tick_period(period).is_err() {
            log::warn!("the timer could not be set");
        }
    }

    /// Sets the timer's period to at most this.
    pub(crate) fn tick_within(&self, period: Duration) {
        self.tick_every(self.tick.get().min(period));
    }

    /// Forgets everything that waits for a request that is over.
    pub(crate) fn forget(&self, id: u32) {
        self.watched.borrow_mut().remove(&id);
        self.held.borrow_mut().retain(|held| held.stream.id != id);
        let mut calls = self.calls.borrow_mut();
        let own = calls.extract_if(
            |_, pending| matches!(pending, Pending::Request(stream, _) if stream.id == id),
        );
        for (_, pending) in own {
            if let Pending::Request(_, waiting) = pending {
                self.gate.abandon(&waiting);
            }
        }
    }
}

/// The wall clock of the body. A clock before 1970 or beyond all bounds reads as zero, at which nothing is live.
pub(crate) fn now() -> Timestamp {
    let since = hostcalls::get_current_time()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Timestamp(since.map_or(0, |since| since.as_secs()))
}

/// Calls `decide` with the time and the body's random source.
pub(crate) fn with_env<T>(decide: impl FnOnce(&mut Env<'_>) -> T) -> T {
    let mut random = |into: &mut [u8]| getrandom::fill(into).map_err(|_| NoRandomness);
    decide(&mut Env {
        now: now(),
        random: &mut random,
        shared: &BodyShared,
    })
}

/// The shared data of the body.
struct BodyShared;

impl SharedData for BodyShared {
    fn read(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        match hostcalls::get_shared_data(key) {
            // A version of 0 would mean "in any case" in the other direction.
            Ok((Some(value), Some(version))) if version != 0 => Some((value, version)),
            _ => None,
        }
    }

    fn write(&self, key: &str, value: &[u8], version: u32) -> bool {
        hostcalls::set_shared_data(key, Some(value), Some(version)).is_ok()
    }
}
