//! The counters of one worker.

use super::decisions::{DecisionCounters, DecisionReading};
use super::route::{STATUS_CLASSES, StatusCounters};
use super::shards::Readable;
use super::{Counter, Histogram, HistogramReading};

/// Why a WebSocket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WebsocketEnd {
    /// The client or the upstream closed it.
    Closed,
    /// A connection broke.
    Broken,
    /// The session ended, or its user may no longer use the route.
    SessionEnded,
    /// The plugin stopped.
    PluginLost,
    /// The proxy stops.
    Shutdown,
    /// A limit on silence or on the duration was exceeded.
    Overrun,
}

impl WebsocketEnd {
    /// Every reason.
    pub(super) const ALL: [Self; 6] = [
        Self::Closed,
        Self::Broken,
        Self::SessionEnded,
        Self::PluginLost,
        Self::Shutdown,
        Self::Overrun,
    ];

    /// Returns the word for metrics.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::SessionEnded => "session_ended",
            Self::PluginLost => "plugin_lost",
            Self::Shutdown => "shutdown",
            Self::Overrun => "overrun",
        }
    }

    /// Returns the details of the log line.
    pub(crate) const fn details(self) -> &'static str {
        match self {
            Self::Closed => "websocket",
            Self::Broken => "websocket: a connection broke",
            Self::SessionEnded => "websocket: ended by the plugin",
            Self::PluginLost => "websocket: the plugin was restarted",
            Self::Shutdown => "websocket: the proxy shuts down",
            Self::Overrun => "websocket: no data for too long",
        }
    }
}

/// The counters of one worker under one configuration.
#[derive(Debug, Default)]
pub(crate) struct WorkerMetrics {
    /// Requests that took no route.
    pub(crate) unrouted: StatusCounters,
    /// Requests that the plugin permitted.
    pub(crate) allowed: Counter,
    /// Requests that the plugin answered.
    pub(crate) answered: DecisionCounters,
    /// How long decisions took.
    pub(crate) decision: Histogram,
    /// How long TLS handshakes took.
    pub(crate) handshake: Histogram,
    /// TLS handshakes that failed.
    pub(crate) failed_handshakes: Counter,
    /// How long the head of an upstream's response took.
    pub(crate) first_byte: Histogram,
    /// How long requests took, from the head to the end of the response, WebSockets excluded.
    pub(crate) total: Histogram,
    /// WebSockets that were opened.
    pub(crate) opened_websockets: Counter,
    closed_websockets: [Counter; WebsocketEnd::ALL.len()],
}

impl WorkerMetrics {
    /// Counts the end of a WebSocket.
    pub(crate) fn count_websocket_end(&self, end: WebsocketEnd) {
        if let Some(counter) = self.closed_websockets.get(end as usize) {
            counter.increment();
        }
    }
}

/// The sums of all workers.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkerReading {
    pub(super) unrouted: [u64; STATUS_CLASSES.len()],
    pub(super) allowed: u64,
    pub(super) answered: DecisionReading,
    pub(super) decision: HistogramReading,
    pub(super) handshake: HistogramReading,
    pub(super) failed_handshakes: u64,
    pub(super) first_byte: HistogramReading,
    pub(super) total: HistogramReading,
    pub(super) opened_websockets: u64,
    pub(super) closed_websockets: [u64; WebsocketEnd::ALL.len()],
}

impl WorkerReading {
    /// Returns the number of WebSockets that are open.
    pub(crate) fn open_websockets(&self) -> u64 {
        let closed: u64 = self.closed_websockets.iter().sum();
        self.opened_websockets.saturating_sub(closed)
    }
}

impl Readable for WorkerMetrics {
    type Reading = WorkerReading;

    fn add_to(&self, reading: &mut WorkerReading) {
        self.unrouted.add_to(&mut reading.unrouted);
        self.answered.add_to(&mut reading.answered);
        for (sum, counter) in [
            (&mut reading.allowed, &self.allowed),
            (&mut reading.failed_handshakes, &self.failed_handshakes),
            (&mut reading.opened_websockets, &self.opened_websockets),
        ] {
            *sum = sum.wrapping_add(counter.get());
        }
        for (sum, histogram) in [
            (&mut reading.decision, &self.decision),
            (&mut reading.handshake, &self.handshake),
            (&mut reading.first_byte, &self.first_byte),
            (&mut reading.total, &self.total),
        ] {
            histogram.add_to(sum);
        }
        let closed = reading.closed_websockets.iter_mut();
        for (sum, counter) in closed.zip(&self.closed_websockets) {
            *sum = sum.wrapping_add(counter.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_of_a_websocket_has_its_own_counter_and_word() {
        let metrics = WorkerMetrics::default();
        metrics.opened_websockets.add(7);
        for end in WebsocketEnd::ALL {
            metrics.count_websocket_end(end);
        }
        let mut reading = WorkerReading::default();
        metrics.add_to(&mut reading);
        assert_eq!(reading.closed_websockets, [1; 6]);
        assert_eq!(reading.open_websockets(), 1);
        let words: std::collections::BTreeSet<_> = WebsocketEnd::ALL.map(WebsocketEnd::word).into();
        assert_eq!(words.len(), WebsocketEnd::ALL.len());
    }
}
