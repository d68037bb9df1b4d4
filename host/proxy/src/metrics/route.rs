//! The counters of one route.

use std::time::Duration;

use http::StatusCode;

use super::shards::Readable;
use super::{Counter, Histogram, HistogramReading};

/// The classes of statuses: those that begin with 1 to 5, and requests without a response.
pub(super) const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// Requests by the class of their status.
#[derive(Debug, Default)]
pub(crate) struct StatusCounters([Counter; STATUS_CLASSES.len()]);

impl StatusCounters {
    /// Counts a request; without a status the client got no response.
    pub(crate) fn count(&self, status: Option<StatusCode>) {
        let [informational, successful, redirected, refused, failed, none] = &self.0;
        let counter = match status.map(|status| status.as_u16()) {
            Some(100..=199) => informational,
            Some(200..=299) => successful,
            Some(300..=399) => redirected,
            Some(400..=499) => refused,
            Some(500..) => failed,
            Some(_) | None => none,
        };
        counter.increment();
    }

    /// Adds the numbers to a reading.
    pub(super) fn add_to(&self, reading: &mut [u64; STATUS_CLASSES.len()]) {
        for (sum, counter) in reading.iter_mut().zip(&self.0) {
            *sum = sum.wrapping_add(counter.get());
        }
    }
}

/// The counters of one route in one worker.
#[derive(Debug, Default)]
pub(crate) struct RouteMetrics {
    requests: StatusCounters,
    duration: Histogram,
}

/// The sums of a route.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteReading {
    /// Requests by [`STATUS_CLASSES`].
    pub(super) requests: [u64; STATUS_CLASSES.len()],
    /// How long requests took, WebSockets excluded.
    pub(super) duration: HistogramReading,
}

impl RouteMetrics {
    /// Counts a request that has ended. The duration of a WebSocket says nothing about the application, and is not given.
    pub(crate) fn count(&self, status: Option<StatusCode>, duration: Option<Duration>) {
        self.requests.count(status);
        if let Some(duration) = duration {
            self.duration.observe(duration);
        }
    }
}

impl RouteReading {
    /// Returns whether the route had a request.
    pub(super) fn is_used(&self) -> bool {
        self.requests.iter().any(|count| *count > 0)
    }
}

impl Readable for RouteMetrics {
    type Reading = RouteReading;

    fn add_to(&self, reading: &mut RouteReading) {
        self.requests.add_to(&mut reading.requests);
        self.duration.add_to(&mut reading.duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_counted_by_class() {
        let counters = StatusCounters::default();
        for status in [101, 200, 204, 304, 404, 503, 999] {
            counters.count(StatusCode::from_u16(status).ok());
        }
        counters.count(None);
        let mut reading = [0; 6];
        counters.add_to(&mut reading);
        assert_eq!(reading, [1, 2, 1, 1, 2, 1]);
    }
}
