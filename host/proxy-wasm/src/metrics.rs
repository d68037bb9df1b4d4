//! The metrics that plugins define: counters, gauges and histograms.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// Most metrics of a plugin. Further names are accepted and their values dropped, as the SDKs expect no failure here.
const METRICS_LIMIT: usize = 1024;
/// Longest name of a metric.
const NAME_LIMIT: usize = 256;
/// Buckets of a histogram: bucket `n` counts the values of `n` significant bits.
const BUCKETS: usize = 65;

/// Kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only increases.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// Distribution of recorded values.
    Histogram,
}

impl MetricKind {
    /// Returns the kind of that number in the ABI.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Counter),
            1 => Some(Self::Gauge),
            2 => Some(Self::Histogram),
            _ => None,
        }
    }
}

/// The reason why an operation on a metric was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// The metric does not exist.
    #[error("there is no such metric")]
    Unknown,
    /// The operation is not possible for this kind of metric, or not with this number.
    #[error("the metric does not allow this")]
    Refused,
}

/// Metrics by number, shared by threads.
pub trait Metrics: Send + Sync {
    /// Returns the number of the metric of that kind and name, and creates it if necessary.
    fn define(&self, kind: MetricKind, name: &str) -> u32;

    /// Adds to a counter or a gauge.
    ///
    /// # Errors
    ///
    /// Returns [`MetricError::Unknown`], or [`MetricError::Refused`] for a histogram or a counter that would not grow.
    fn increment(&self, id: u32, delta: i64) -> Result<(), MetricError>;

    /// Adds to a counter, sets a gauge, records in a histogram.
    ///
    /// # Errors
    ///
    /// Returns [`MetricError::Unknown`].
    fn record(&self, id: u32, value: u64) -> Result<(), MetricError>;

    /// Returns the value of a counter or a gauge.
    ///
    /// # Errors
    ///
    /// Returns [`MetricError::Unknown`], or [`MetricError::Refused`] for a histogram.
    fn value(&self, id: u32) -> Result<u64, MetricError>;
}

/// Metrics in the memory of the process, at most 1024. [`MetricTable::readings`] returns their values.
#[derive(Default)]
pub struct MetricTable(RwLock<Vec<Metric>>);

struct Metric {
    kind: MetricKind,
    name: String,
    value: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

/// The value of one metric at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricReading {
    /// The kind of the metric.
    pub kind: MetricKind,
    /// Its name, as the plugin defined it.
    pub name: String,
    /// The value; for a histogram, the sum of the recorded values. A gauge is a signed number in two's complement.
    pub value: u64,
    /// Histograms: the number of values by their count of significant bits.
    pub buckets: Vec<u64>,
}

impl Metrics for MetricTable {
    fn define(&self, kind: MetricKind, name: &str) -> u32 {
        let mut metrics = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = metrics
            .iter()
            .position(|metric| metric.kind == kind && metric.name == name);
        let index = known.unwrap_or(metrics.len());
        if known.is_none() && (index >= METRICS_LIMIT || name.len() > NAME_LIMIT) {
            return kind as u32;
        }
        if known.is_none() {
            let buckets = if kind == MetricKind::Histogram {
                BUCKETS
            } else {
                0
            };
            metrics.push(Metric {
                kind,
                name: name.to_owned(),
                value: AtomicU64::new(0),
                buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
            });
        }
        u32::try_from(index + 1).map_or(0, |number| number << 2) | kind as u32
    }

    fn increment(&self, id: u32, delta: i64) -> Result<(), MetricError> {
        self.with(id, |metric| match metric.kind {
            MetricKind::Counter if delta <= 0 => Err(MetricError::Refused),
            MetricKind::Counter | MetricKind::Gauge => {
                metric
                    .value
                    .fetch_add(delta.cast_unsigned(), Ordering::Relaxed);
                Ok(())
            }
            MetricKind::Histogram => Err(MetricError::Refused),
        })
    }

    fn record(&self, id: u32, value: u64) -> Result<(), MetricError> {
        self.with(id, |metric| {
            match metric.kind {
                MetricKind::Gauge => metric.value.store(value, Ordering::Relaxed),
                MetricKind::Counter | MetricKind::Histogram => {
                    metric.value.fetch_add(value, Ordering::Relaxed);
                }
            }
            let bits = usize::try_from(u64::BITS - value.leading_zeros()).unwrap_or_default();
            if let Some(bucket) = metric.buckets.get(bits) {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })
    }

    fn value(&self, id: u32) -> Result<u64, MetricError> {
        self.with(id, |metric| match metric.kind {
            MetricKind::Histogram => Err(MetricError::Refused),
            MetricKind::Counter | MetricKind::Gauge => Ok(metric.value.load(Ordering::Relaxed)),
        })
    }
}

impl MetricTable {
    /// Returns the current values of all metrics, in the order of their definition.
    pub fn readings(&self) -> Vec<MetricReading> {
        let metrics = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let reading = |metric: &Metric| MetricReading {
            kind: metric.kind,
            name: metric.name.clone(),
            value: metric.value.load(Ordering::Relaxed),
            buckets: metric
                .buckets
                .iter()
                .map(|bucket| bucket.load(Ordering::Relaxed))
                .collect(),
        };
        metrics.iter().map(reading).collect()
    }

    fn with<T>(
        &self,
        id: u32,
        act: impl FnOnce(&Metric) -> Result<T, MetricError>,
    ) -> Result<T, MetricError> {
        let metrics = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(id >> 2)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let metric = index.and_then(|index| metrics.get(index));
        match metric.filter(|metric| metric.kind as u32 == id & 3) {
            Some(metric) => act(metric),
            None => Err(MetricError::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_the_kind_and_names_are_shared() {
        let metrics = MetricTable::default();
        assert_eq!(metrics.define(MetricKind::Counter, "c"), 4);
        assert_eq!(metrics.define(MetricKind::Gauge, "g"), 9);
        assert_eq!(metrics.define(MetricKind::Histogram, "h"), 14);
        assert_eq!(metrics.define(MetricKind::Counter, "c"), 4);
    }

    #[test]
    fn each_kind_has_its_own_arithmetic() {
        let metrics = MetricTable::default();
        let counter = metrics.define(MetricKind::Counter, "c");
        metrics.increment(counter, 2).unwrap();
        metrics.record(counter, 3).unwrap();
        assert_eq!(metrics.increment(counter, 0), Err(MetricError::Refused));
        assert_eq!(metrics.increment(counter, -1), Err(MetricError::Refused));
        assert_eq!(metrics.value(counter), Ok(5));
        let gauge = metrics.define(MetricKind::Gauge, "g");
        metrics.record(gauge, 7).unwrap();
        metrics.increment(gauge, -3).unwrap();
        assert_eq!(metrics.value(gauge), Ok(4));
        let histogram = metrics.define(MetricKind::Histogram, "h");
        metrics.record(histogram, 5).unwrap();
        metrics.record(histogram, 0).unwrap();
        assert_eq!(metrics.increment(histogram, 1), Err(MetricError::Refused));
        assert_eq!(metrics.value(histogram), Err(MetricError::Refused));
        let readings = metrics.readings();
        assert_eq!(
            (
                readings[2].value,
                readings[2].buckets[3],
                readings[2].buckets[0]
            ),
            (5, 1, 1)
        );
    }

    #[test]
    fn unknown_numbers_are_refused_and_the_number_of_metrics_is_bounded() {
        let metrics = MetricTable::default();
        for id in [0, 3, 4, 5, u32::MAX] {
            assert_eq!(metrics.value(id), Err(MetricError::Unknown), "{id}");
        }
        for index in 0..METRICS_LIMIT + 10 {
            metrics.define(MetricKind::Counter, &format!("c{index}"));
        }
        assert_eq!(metrics.readings().len(), METRICS_LIMIT);
        assert_eq!(
            metrics.increment(metrics.define(MetricKind::Counter, "late"), 1),
            Err(MetricError::Unknown)
        );
    }
}
