//! Which limits were reached, counted in one place and told in the log: at once, and then in sums for as long as it lasts.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::HIT_SUMMARY;

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// A client was refused: there are as many connections as may be, and none of them is idle.
    Clients,
    /// An idle connection of a client was closed to make room.
    IdleClients,
    /// A client was refused: its address has its share of all connections.
    ClientShare,
    /// A connection could not be accepted: the process or the machine has no descriptor left.
    OpenFiles,
    /// A request had to wait: all connections to its route's upstreams are in use.
    UpstreamConnections,
    /// A request was refused: as many as may do so wait for a connection to the route's upstreams.
    UpstreamPending,
    /// A request was refused: its client has its share of the route's upstreams.
    UpstreamShare,
    /// A connection to an upstream had to wait: there are as many to all of them as the open files allow.
    Upstreams,
    /// A connection to the provider had to wait, for the same reason.
    Providers,
}

impl Hit {
    /// All of them, in the order of their numbers.
    const ALL: [Self; 9] = [
        Self::Clients,
        Self::IdleClients,
        Self::ClientShare,
        Self::OpenFiles,
        Self::UpstreamConnections,
        Self::UpstreamPending,
        Self::UpstreamShare,
        Self::Upstreams,
        Self::Providers,
    ];

    /// What it is called in logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Clients => "client_connections",
            Self::IdleClients => "idle_client_connections",
            Self::ClientShare => "client_connections_of_one_address",
            Self::OpenFiles => "open_files",
            Self::UpstreamConnections => "upstream_connections",
            Self::UpstreamPending => "upstream_pending_requests",
            Self::UpstreamShare => "upstream_requests_of_one_address",
            Self::Upstreams => "upstream_open_files",
            Self::Providers => "provider_open_files",
        }
    }

    /// What happened.
    const fn text(self) -> &'static str {
        match self {
            Self::Clients => {
                "a connection was refused: all places are taken, and none by an idle connection"
            }
            Self::IdleClients => "idle connections were closed to make room for others",
            Self::ClientShare => {
                "a connection was refused: its address has its share of all places"
            }
            Self::OpenFiles => "a connection could not be accepted: no file descriptor is left",
            Self::UpstreamConnections => {
                "a request waits: all connections to the route's upstreams are in use"
            }
            Self::UpstreamPending => {
                "a request was refused: too many wait for the route's upstreams"
            }
            Self::UpstreamShare => {
                "a request was refused: its client has its share of the route's upstreams"
            }
            Self::Upstreams => {
                "a connection to an upstream waits: the limit on open files allows no more"
            }
            Self::Providers => {
                "a connection to the provider waits: the limit on open files allows no more"
            }
        }
    }

    /// Counts it. `about` is logged with the first, and must not be a secret.
    pub(crate) fn note(self, about: impl fmt::Display) {
        if self.tally().hit(Instant::now()) {
            tracing::warn!(limit = self.name(), %about, "a limit was reached: {}", self.text());
        }
    }

    /// How often it was reached since the start.
    #[cfg(test)]
    pub(crate) fn count(self) -> u64 {
        self.tally().total.load(Ordering::Relaxed)
    }

    /// Logs sums of what was not logged. To be called every few seconds.
    pub(crate) fn report() {
        let now = Instant::now();
        for hit in Self::ALL {
            if let Some(more) = hit.tally().sum(now) {
                tracing::warn!(
                    limit = hit.name(),
                    more,
                    total = hit.tally().total.load(Ordering::Relaxed),
                    "a limit was reached again: {}",
                    hit.text()
                );
            }
        }
    }

    fn tally(self) -> &'static Tally {
        static TALLIES: [Tally; Hit::ALL.len()] = [const { Tally::new() }; Hit::ALL.len()];
        let [
            clients,
            idle,
            share,
            files,
            connections,
            pending,
            upstream_share,
            upstreams,
            providers,
        ] = &TALLIES;
        match self {
            Self::Clients => clients,
            Self::IdleClients => idle,
            Self::ClientShare => share,
            Self::OpenFiles => files,
            Self::UpstreamConnections => connections,
            Self::UpstreamPending => pending,
            Self::UpstreamShare => upstream_share,
            Self::Upstreams => upstreams,
            Self::Providers => providers,
        }
    }
}

/// How often one limit was reached, and how often that was told.
struct Tally {
    total: AtomicU64,
    told: Mutex<Told>,
}

struct Told {
    total: u64,
    at: Option<Instant>,
}

impl Tally {
    const fn new() -> Self {
        Self {
            total: AtomicU64::new(0),
            told: Mutex::new(Told { total: 0, at: None }),
        }
    }

    /// Counts one, and returns whether to tell it at once: the first after a time without any.
    fn hit(&self, now: Instant) -> bool {
        let total = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        // Who tells others of it at this moment need not be waited for.
        let Ok(mut told) = self.told.try_lock() else {
            return false;
        };
        let is_first = told.at.is_none();
        if is_first {
            told.at = Some(now);
            told.total = total;
        }
        is_first
    }

    /// How many were not told, when it is time to tell them. After a time without any, the next is a first one.
    fn sum(&self, now: Instant) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(told.at?) < HIT_SUMMARY {
            return None;
        }
        let total = self.total.load(Ordering::Relaxed);
        let more = total.saturating_sub(told.total);
        told.total = total;
        told.at = (more > 0).then_some(now);
        told.at.map(|_| more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_first_is_told_and_others_are_summed_up() {
        let tally = Tally::new();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let period = HIT_SUMMARY.as_secs();
        assert!(tally.hit(at(0)));
        for _ in 0..1_000 {
            assert!(!tally.hit(at(1)));
        }
        assert_eq!(tally.sum(at(2)), None, "too early");
        assert_eq!(tally.sum(at(period)), Some(1_000));
        assert!(!tally.hit(at(period)), "it still lasts");
        assert_eq!(tally.sum(at(period * 2)), Some(1));
        assert_eq!(tally.sum(at(period * 3)), None, "nothing happened");
        assert!(tally.hit(at(period * 3)), "it begins again");
        assert_eq!(tally.total.load(Ordering::Relaxed), 1_003);
    }

    #[test]
    fn each_has_a_name_and_a_counter_of_its_own() {
        for (place, hit) in Hit::ALL.into_iter().enumerate() {
            for other in &Hit::ALL[place + 1..] {
                assert_ne!(hit.name(), other.name());
                assert!(!std::ptr::eq(hit.tally(), other.tally()));
            }
        }
    }
}
