//! Shared data: values that the plugins of all threads read and write, with compare-and-swap.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes of keys and values in [`MemoryData`]: enough for some thousand documents and counters. The limit bounds
/// the memory of the process with any plugin.
const DATA_LIMIT: usize = 16 * 1024 * 1024;

/// Values by key, shared by threads. Each value has a number for compare-and-swap, which changes with the value and is
/// never 0.
pub trait SharedData: Send + Sync {
    /// Returns a value and its number.
    fn value(&self, key: &[u8]) -> Option<(Arc<[u8]>, u32)>;

    /// Stores a value if `cas` is 0 or the current number, or if the key is absent.
    ///
    /// # Errors
    ///
    /// Returns [`NotStored`] with the reason.
    fn store(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), NotStored>;
}

/// Shared data in the memory of the process, at most 16 MiB of keys and values.
#[derive(Default)]
pub struct MemoryData(Mutex<Values>);

#[derive(Default)]
struct Values {
    entries: HashMap<Vec<u8>, Entry>,
    bytes: usize,
    last_cas: u32,
}

struct Entry {
    value: Arc<[u8]>,
    cas: u32,
}

/// The reason why a value was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// The value has changed since its number was read.
    #[error("the value has changed")]
    Changed,
    /// The total of all values would be too large.
    #[error("the shared data is full")]
    Full,
}

impl SharedData for MemoryData {
    fn value(&self, key: &[u8]) -> Option<(Arc<[u8]>, u32)> {
        let data = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        data.entries
            .get(key)
            .map(|entry| (Arc::clone(&entry.value), entry.cas))
    }

    fn store(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), NotStored> {
        let mut data = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let shared = MemoryData::default();
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
        let shared = MemoryData::default();
        let half = vec![0; DATA_LIMIT / 2];
        shared.store(b"a", &half, 0).unwrap();
        assert_eq!(shared.store(b"b", &half, 0), Err(NotStored::Full));
        shared.store(b"a", b"", 0).unwrap();
        shared.store(b"b", &half, 0).unwrap();
    }
}
