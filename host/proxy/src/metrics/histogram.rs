//! Distributions of durations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets in microseconds. A decision takes some ten microseconds, and the longest limit on a request is
/// usually 30 seconds. The last bucket, without a bound, follows.
pub(crate) const BOUNDS: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 250_000, 1_000_000, 2_500_000,
    10_000_000, 30_000_000, 60_000_000,
];

/// The number of buckets.
const BUCKETS: usize = BOUNDS.len() + 1;

/// A distribution of durations, to which threads add without waiting for each other.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    microseconds: AtomicU64,
}

/// The content of a [`Histogram`] at one moment, or the sum of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HistogramReading {
    /// The number of durations in each bucket alone.
    pub(crate) buckets: [u64; BUCKETS],
    /// The sum of all durations.
    pub(crate) microseconds: u64,
}

impl Histogram {
    /// Adds a duration.
    pub(crate) fn observe(&self, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|bound| *bound < microseconds);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// Adds the content to a reading.
    pub(crate) fn add_to(&self, reading: &mut HistogramReading) {
        for (sum, bucket) in reading.buckets.iter_mut().zip(&self.buckets) {
            *sum = sum.wrapping_add(bucket.load(Ordering::Relaxed));
        }
        let microseconds = self.microseconds.load(Ordering::Relaxed);
        reading.microseconds = reading.microseconds.wrapping_add(microseconds);
    }
}

impl HistogramReading {
    /// Returns the number of durations.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_can_hold_it() {
        let histogram = Histogram::default();
        for microseconds in [0, 50, 51, 60_000_000, 60_000_001] {
            histogram.observe(Duration::from_micros(microseconds));
        }
        let mut reading = HistogramReading::default();
        histogram.add_to(&mut reading);
        histogram.add_to(&mut reading);
        assert_eq!(reading.buckets[..3], [4, 2, 0]);
        assert_eq!(reading.buckets[BUCKETS - 2..], [2, 2]);
        assert_eq!(reading.count(), 10);
        assert_eq!(reading.microseconds, 2 * 120_000_102);
    }

    #[test]
    fn bounds_increase() {
        assert!(BOUNDS.is_sorted());
    }
}
