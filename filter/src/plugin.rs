//! The state that all requests of one plugin share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use jetway_core::env::{Env, NoRandomness};
use jetway_core::gate::Gate;
use jetway_core::gate::Refreshing;
use jetway_core::gate::open_stream::{OpenStream, RecheckRound};
use jetway_core::gate::step::Forwarded;
use jetway_core::gate::waiting::Waiting;
use jetway_core::http::log_line::RequestSummary;
use jetway_core::refusal::repeats::Repeats;
use jetway_core::store::SharedData;
use jetway_core::time::Timestamp;
use proxy_wasm::hostcalls;
use rustc_hash::FxHashMap;

/// Timer period while requests are paused.
pub(crate) const BUSY_TICK: Duration = Duration::from_millis(50);
/// Timer period while session refreshes, which only the timer can send, or stream rechecks are due.
pub(crate) const REFRESH_TICK: Duration = Duration::from_millis(5);
/// Timer period otherwise. A stream that may not stay open ends within five seconds of the event that ended its permission.
pub(crate) const IDLE_TICK: Duration = Duration::from_secs(2);
/// Most requests that may wait for the provider's metadata; further ones are answered at once. A paused request costs the
/// proxy its connection and headers, so this limit bounds the memory that an unreachable provider can cost.
pub(crate) const MAX_HELD: usize = 1024;

/// One configured plugin.
pub(crate) struct Plugin {
    pub(crate) gate: Gate,
    /// Its name among the plugins of the proxy.
    pub(crate) name: String,
    /// Calls to the provider that have no reply yet, by token.
    pub(crate) calls: RefCell<FxHashMap<u32, Pending>>,
    /// Requests that wait for the provider's metadata or for the refresh of their session.
    pub(crate) held: RefCell<Vec<PausedRequest>>,
    /// The forwarded streams that are rechecked while they are open, by context.
    pub(crate) watched: RefCell<FxHashMap<u32, WatchedStream>>,
    /// When the last round of rechecks began.
    pub(crate) looked_at: Cell<Timestamp>,
    /// The streams that are left of that round.
    pub(crate) round: RefCell<RecheckRound>,
    /// Replies that the log sums up.
    pub(crate) repeats: RefCell<Repeats>,
    /// The current period of the timer.
    tick: Cell<Duration>,
}

/// The purpose of a call to the provider.
pub(crate) enum Pending {
    /// Metadata and keys, for all requests.
    Provider,
    /// The sign-in of one paused request.
    Request(Stream, Waiting),
    /// The refresh of a session, for all requests with that session.
    Refresh(Box<Refreshing>),
}

/// A request that is paused until its provider is known or its session refreshed.
pub(crate) struct PausedRequest {
    pub(crate) stream: Stream,
    /// When it was paused for the first time.
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
}

/// One request, as other contexts see it.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) id: u32,
    pub(crate) state: Rc<RefCell<StreamState>>,
    pub(crate) body: Rc<Cell<BodyState>>,
}

/// A forwarded stream that is rechecked while it is open.
pub(crate) struct WatchedStream {
    pub(crate) open: OpenStream,
    pub(crate) stream: Stream,
}

/// How much of a request's body has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyState {
    /// Only the headers have arrived; a body follows.
    #[default]
    Expected,
    /// The request has no body.
    Absent,
    /// The whole body has arrived, and the proxy buffers it.
    Complete,
}

/// The decision about a request.
#[derive(Default)]
pub(crate) enum StreamState {
    /// Nothing yet, or a reply of the plugin's own, whose headers are not edited again.
    #[default]
    Undecided,
    /// The request waits for its body, of which at most this many bytes are read.
    AwaitsBody(usize),
    /// The request was forwarded; these rules apply to its response. Its headers are gone then, and log lines name it by
    /// the summary.
    Forwarded(Forwarded, RequestSummary),
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

    /// Sets the timer's period if it differs: setting it begins a new period.
    pub(crate) fn tick_every(&self, period: Duration) {
        if self.tick.replace(period) != period && hostcalls::set_tick_period(period).is_err() {
            log::warn!("cannot set the timer");
        }
    }

    /// Shortens the timer's period to this, if it is longer.
    pub(crate) fn tick_within(&self, period: Duration) {
        self.tick_every(self.tick.get().min(period));
    }

    /// Returns the account of the user of a forwarded stream.
    pub(crate) fn account_of(&self, id: u32) -> Option<String> {
        let watched = self.watched.borrow();
        watched.get(&id)?.open.account().map(str::to_owned)
    }

    /// Removes all state of a request that has ended.
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

/// Returns the proxy's wall-clock time. A clock before 1970 reads as zero, at which no session or token is valid.
pub(crate) fn now() -> Timestamp {
    let since = hostcalls::get_current_time()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Timestamp(since.map_or(0, |since| since.as_secs()))
}

/// Calls `decide` with the time, the random source and the shared data of the proxy.
pub(crate) fn with_env<T>(decide: impl FnOnce(&mut Env<'_>) -> T) -> T {
    let mut random = |into: &mut [u8]| getrandom::fill(into).map_err(|_| NoRandomness);
    decide(&mut Env {
        now: now(),
        random: &mut random,
        shared: &ProxyShared,
    })
}

/// The shared data of the proxy.
struct ProxyShared;

impl SharedData for ProxyShared {
    fn read(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        match hostcalls::get_shared_data(key) {
            // Writing with version 0 would overwrite unconditionally.
            Ok((Some(value), Some(version))) if version != 0 => Some((value, version)),
            _ => None,
        }
    }

    fn write(&self, key: &str, value: &[u8], version: u32) -> bool {
        hostcalls::set_shared_data(key, Some(value), Some(version)).is_ok()
    }
}
