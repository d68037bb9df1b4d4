//! Measurements of connections to upstreams, and of those to the identity provider.

use super::{Counter, Histogram, HistogramReading};

/// The counters of one kind of outgoing connection, which all workers share: connections are opened seldom.
#[derive(Debug, Default)]
pub(crate) struct OutgoingMetrics {
    /// How long it took to open connections.
    pub(crate) connects: Histogram,
    /// Connections that could not be opened.
    pub(crate) failed_connects: Counter,
    /// How long whole calls took, for connections to the provider.
    pub(crate) calls: Histogram,
    /// Calls without a response.
    pub(crate) failed_calls: Counter,
}

/// The content of [`OutgoingMetrics`] at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutgoingReading {
    pub(super) connects: HistogramReading,
    pub(super) failed_connects: u64,
    pub(super) calls: HistogramReading,
    pub(super) failed_calls: u64,
    /// Connections that exist now.
    pub(super) open: u64,
}

impl OutgoingMetrics {
    /// Returns the content, with the number of connections that exist now.
    pub(crate) fn read(&self, open: u64) -> OutgoingReading {
        let mut reading = OutgoingReading {
            failed_connects: self.failed_connects.get(),
            failed_calls: self.failed_calls.get(),
            open,
            ..OutgoingReading::default()
        };
        self.connects.add_to(&mut reading.connects);
        self.calls.add_to(&mut reading.calls);
        reading
    }
}
