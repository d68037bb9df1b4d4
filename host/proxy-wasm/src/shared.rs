//! State of the plugin that all workers share and that outlives every instance: shared data and metrics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::metrics::Metrics;

/// Most bytes of keys and values in the shared data; the plugin keeps a few documents and counters there.
const DATA_LIMIT: usize = 16 * 1024 * 1024;

/// Process-wide state of the plugin.
#[derive(Default)]
pub struct Shared {
    data: Mutex<Data>,
    metrics: Metrics,
}

#[derive(Default)]
struct Data {
    entries: HashMap<Vec<u8>, Entry>,
    bytes: usize,
    last_cas: u32,
}

struct Entry {
    value: Arc<[u8]>,
    cas: u32,
}

/// The value was not stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotStored {
    /// Somebody else stored another value since.
    Changed,
    /// All values together would be too large.
    Full,
}

impl Shared {
    /// Empty state.
    pub fn new() -> Self {
        Self::default()
    }

    /// The metrics of all workers.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A value with its number for compare-and-swap.
    pub(super) fn value(&self, key: &[u8]) -> Option<(Arc<[u8]>, u32)> {
        let data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        data.entries
            .get(key)
            .map(|entry| (Arc::clone(&entry.value), entry.cas))
    }

    /// Stores a value if `cas` is 0, the current number, or the key is absent.
    pub(super) fn store(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), NotStored> {
        let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        let old = data.entries.get(key);
        if cas != 0 && old.is_some_and(|entry| entry.cas != cas) {
            return Err(NotStored::Changed);
        }
        let old_size = old.map_or(0, |entry| key.len() + entry.value.len());
        let bytes = data.bytes - old_size + key.len() + value.len();
        if bytes > DATA_LIMIT {
            return Err(NotStored::Full);
        }
        data.bytes = bytes;
        data.last_cas = data.last_cas.wrapping_add(1).max(1);
        let entry = Entry {
            value: value.into(),
            cas: data.last_cas,
        };
        data.entries.insert(key.to_vec(), entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_stored_only_over_the_one_that_was_read() {
        let shared = Shared::new();
        assert_eq!(shared.value(b"k"), None);
        shared.store(b"k", b"1", 77).unwrap();
        let (value, cas) = shared.value(b"k").unwrap();
        assert_eq!(&*value, b"1");
        assert_ne!(cas, 0);
        shared.store(b"k", b"2", cas).unwrap();
        assert_eq!(shared.store(b"k", b"3", cas), Err(NotStored::Changed));
        shared.store(b"k", b"", 0).unwrap();
        assert!(shared.value(b"k").unwrap().0.is_empty());
    }

    #[test]
    fn the_whole_is_bounded_and_replacing_frees() {
        let shared = Shared::new();
        let half = vec![0; DATA_LIMIT / 2];
        shared.store(b"a", &half, 0).unwrap();
        assert_eq!(shared.store(b"b", &half, 0), Err(NotStored::Full));
        shared.store(b"a", b"", 0).unwrap();
        shared.store(b"b", &half, 0).unwrap();
    }
}
