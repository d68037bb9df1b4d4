//! Counts how often each limit is hit, and logs it: the first hit at once, then sums for as long as hits continue.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::HIT_SUMMARY;

/// A limit that can be hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// A client connection was refused: every slot is taken, and no connection is idle.
    ClientConnections,
    /// An idle client connection was evicted to free a slot.
    IdleEviction,
    /// A client connection was refused: its address has its share of the slots.
    ClientShare,
    /// A connection could not be accepted: the process or the machine has no free descriptor.
    OpenFiles,
    /// A request is pending: all connections of its route's circuit breaker are in use.
    UpstreamConnections,
    /// A request was refused: the route's circuit breaker has the maximum of pending requests.
    UpstreamPending,
    /// A request was refused: its client has its share of the route's circuit breaker.
    UpstreamShare,
    /// A request was refused: its client has its share of the upstream connections of all routes.
    UpstreamTotalShare,
    /// An upstream connection is pending: the limit on open files allows no more of them.
    UpstreamDescriptors,
    /// A connection to the identity provider is pending, for the same reason.
    ProviderDescriptors,
}

impl Hit {
    const ALL: [Self; 10] = [
        Self::ClientConnections,
        Self::IdleEviction,
        Self::ClientShare,
        Self::OpenFiles,
        Self::UpstreamConnections,
        Self::UpstreamPending,
        Self::UpstreamShare,
        Self::UpstreamTotalShare,
        Self::UpstreamDescriptors,
        Self::ProviderDescriptors,
    ];

    /// Returns the name of the limit in logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ClientConnections => "client_connections",
            Self::IdleEviction => "idle_eviction",
            Self::ClientShare => "client_connection_share",
            Self::OpenFiles => "open_files",
            Self::UpstreamConnections => "upstream_connections",
            Self::UpstreamPending => "upstream_pending_requests",
            Self::UpstreamShare => "upstream_request_share",
            Self::UpstreamTotalShare => "upstream_connection_share",
            Self::UpstreamDescriptors => "upstream_descriptors",
            Self::ProviderDescriptors => "provider_descriptors",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::ClientConnections => {
                "client connection refused: all slots are taken and no connection is idle"
            }
            Self::IdleEviction => "idle client connection closed to free a slot",
            Self::ClientShare => {
                "client connection refused: the address has its share of all slots"
            }
            Self::OpenFiles => "cannot accept a connection: no free file descriptor",
            Self::UpstreamConnections => {
                "request pending: all upstream connections of the route are in use"
            }
            Self::UpstreamPending => "request refused: too many pending requests on the route",
            Self::UpstreamShare => {
                "request refused: the client has its share of the route's requests"
            }
            Self::UpstreamTotalShare => {
                "request refused: the client has its share of all upstream connections"
            }
            Self::UpstreamDescriptors => {
                "upstream connection pending: the limit on open files allows no more"
            }
            Self::ProviderDescriptors => {
                "provider connection pending: the limit on open files allows no more"
            }
        }
    }

    /// Counts a hit. `context` is logged with the first hit and must not contain a secret.
    pub(crate) fn record(self, context: impl fmt::Display) {
        if self.counter().record(Instant::now()) {
            tracing::warn!(limit = self.name(), %context, "limit hit: {}", self.description());
        }
    }

    /// Returns how often the limit was hit since the start of the process.
    pub(crate) fn count(self) -> u64 {
        self.counter().total.load(Ordering::Relaxed)
    }

    /// Returns the number of hits of each limit, by its name.
    pub(crate) fn counts() -> Vec<(&'static str, u64)> {
        let counts = Self::ALL.into_iter().map(|hit| (hit.name(), hit.count()));
        counts.collect()
    }

    /// Logs sums of the hits that were not logged yet. Call it every [`HIT_SUMMARY`].
    pub(crate) fn log_sums() {
        let now = Instant::now();
        for hit in Self::ALL {
            if let Some(hits) = hit.counter().take_sum(now) {
                let (limit, total) = (hit.name(), hit.count());
                tracing::warn!(limit, hits, total, "limit still hit: {}", hit.description());
            }
        }
    }

    fn counter(self) -> &'static HitCounter {
        static COUNTERS: [HitCounter; Hit::ALL.len()] =
            [const { HitCounter::new() }; Hit::ALL.len()];
        let [
            clients,
            eviction,
            share,
            files,
            connections,
            pending,
            upstream_share,
            upstream_total_share,
            upstreams,
            provider,
        ] = &COUNTERS;
        match self {
            Self::ClientConnections => clients,
            Self::IdleEviction => eviction,
            Self::ClientShare => share,
            Self::OpenFiles => files,
            Self::UpstreamConnections => connections,
            Self::UpstreamPending => pending,
            Self::UpstreamShare => upstream_share,
            Self::UpstreamTotalShare => upstream_total_share,
            Self::UpstreamDescriptors => upstreams,
            Self::ProviderDescriptors => provider,
        }
    }
}

/// Hits of one limit, and how many of them are in the log.
struct HitCounter {
    total: AtomicU64,
    logged: Mutex<LoggedHits>,
}

struct LoggedHits {
    total: u64,
    /// When hits were last logged; `None` after an interval without any.
    at: Option<Instant>,
}

impl HitCounter {
    const fn new() -> Self {
        Self {
            total: AtomicU64::new(0),
            logged: Mutex::new(LoggedHits { total: 0, at: None }),
        }
    }

    /// Counts a hit and returns whether it is to be logged at once, because it is the first after a quiet interval.
    fn record(&self, now: Instant) -> bool {
        let total = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        // Another thread that holds the lock logs a hit right now, and this one is part of the next sum.
        let Ok(mut logged) = self.logged.try_lock() else {
            return false;
        };
        let is_first = logged.at.is_none();
        if is_first {
            *logged = LoggedHits {
                total,
                at: Some(now),
            };
        }
        is_first
    }

    /// Returns the number of hits that are not in the log, when it is time to log them.
    fn take_sum(&self, now: Instant) -> Option<u64> {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(logged.at?) < HIT_SUMMARY {
            return None;
        }
        let total = self.total.load(Ordering::Relaxed);
        let hits = total.saturating_sub(logged.total);
        logged.total = total;
        logged.at = (hits > 0).then_some(now);
        logged.at.map(|_| hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_first_hit_is_logged_and_others_are_summed_up() {
        let counter = HitCounter::new();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let period = HIT_SUMMARY.as_secs();
        assert!(counter.record(at(0)));
        for _ in 0..1_000 {
            assert!(!counter.record(at(1)));
        }
        assert_eq!(counter.take_sum(at(2)), None, "too early");
        assert_eq!(counter.take_sum(at(period)), Some(1_000));
        assert!(!counter.record(at(period)), "hits continue");
        assert_eq!(counter.take_sum(at(period * 2)), Some(1));
        assert_eq!(counter.take_sum(at(period * 3)), None, "no hits");
        assert!(counter.record(at(period * 3)), "hits begin again");
        assert_eq!(counter.total.load(Ordering::Relaxed), 1_003);
    }

    #[test]
    fn each_limit_has_its_own_name_and_counter() {
        for (place, hit) in Hit::ALL.into_iter().enumerate() {
            for other in &Hit::ALL[place + 1..] {
                assert_ne!(hit.name(), other.name());
                assert!(!std::ptr::eq(hit.counter(), other.counter()));
            }
        }
    }
}
