//! Finds the keys that a string begins with.

use std::collections::BTreeMap;
use std::iter::successors;

/// Values by key, of which a lookup returns all whose key is a prefix of a string.
///
/// The keys are sorted, and each knows the longest other key that it begins with. Every key that a string begins with is the
/// last one that is not greater than the string, or one of those that this one begins with. So a lookup is a binary search
/// and a walk over keys that begin with each other.
#[derive(Debug)]
pub(super) struct PrefixTable<T> {
    entries: Vec<PrefixEntry<T>>,
}

#[derive(Debug)]
struct PrefixEntry<T> {
    key: String,
    value: T,
    /// The place of the longest other key that this one begins with.
    shorter: Option<usize>,
}

impl<T> PrefixTable<T> {
    /// Builds a table.
    pub(super) fn new(values: BTreeMap<String, T>) -> Self {
        let mut entries: Vec<PrefixEntry<T>> = Vec::with_capacity(values.len());
        for (key, value) in values {
            let mut shorter = entries.len().checked_sub(1);
            while let Some(entry) = shorter.and_then(|place| entries.get(place)) {
                if key.starts_with(&entry.key) {
                    break;
                }
                shorter = entry.shorter;
            }
            entries.push(PrefixEntry {
                key,
                value,
                shorter,
            });
        }
        Self { entries }
    }

    /// Returns the values whose keys `text` begins with, from the longest key to the shortest.
    pub(super) fn matches(&self, text: &str) -> impl Iterator<Item = &T> {
        let greater = self
            .entries
            .partition_point(|entry| entry.key.as_str() <= text);
        let last = greater.checked_sub(1);
        successors(last.and_then(|place| self.entries.get(place)), |entry| {
            self.entries.get(entry.shorter?)
        })
        .filter(|entry| text.starts_with(&entry.key))
        .map(|entry| &entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_lookup_finds_every_prefix_once(keys in btree_set("[ab]{0,5}", 0..12), text in "[ab]{0,7}") {
            let table = PrefixTable::new(keys.iter().map(|key| (key.clone(), key.clone())).collect());
            let found: Vec<&String> = table.matches(&text).collect();
            let mut expected: Vec<&String> = keys.iter().filter(|key| text.starts_with(*key)).collect();
            expected.reverse();
            prop_assert_eq!(found, expected);
        }
    }
}
