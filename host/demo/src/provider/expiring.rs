//! A bounded table of values that expire, under unguessable names.

use std::collections::VecDeque;

use super::{NoRandomness, unguessable};

/// Keeps at most `capacity` values for `lifetime` seconds each; a new value replaces the oldest.
pub(super) struct Expiring<T> {
    capacity: usize,
    lifetime: u64,
    /// Oldest first: all values have the same lifetime, so they expire in this order.
    entries: VecDeque<Entry<T>>,
}

struct Entry<T> {
    name: String,
    ends: u64,
    value: T,
}

impl<T> Expiring<T> {
    pub(super) fn new(capacity: usize, lifetime: u64) -> Self {
        Self {
            capacity,
            lifetime,
            entries: VecDeque::new(),
        }
    }

    /// Stores a value and returns its new name.
    pub(super) fn keep(&mut self, value: T, now: u64) -> Result<String, NoRandomness> {
        let name = unguessable()?;
        self.forget_ended(now);
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
        }
        let ends = now.saturating_add(self.lifetime);
        self.entries.push_back(Entry {
            name: name.clone(),
            ends,
            value,
        });
        Ok(name)
    }

    /// Returns the value of that name, unless it has expired.
    pub(super) fn find(&self, name: &str, now: u64) -> Option<&T> {
        self.entries
            .iter()
            .find(|entry| entry.name == name && entry.ends > now)
            .map(|entry| &entry.value)
    }

    /// Removes and returns the value of that name.
    pub(super) fn take(&mut self, name: &str, now: u64) -> Option<T> {
        self.forget_ended(now);
        let place = self.entries.iter().position(|entry| entry.name == name)?;
        self.entries.remove(place).map(|entry| entry.value)
    }

    fn forget_ended(&mut self, now: u64) {
        while self.entries.front().is_some_and(|entry| entry.ends <= now) {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Expiring;

    #[test]
    fn a_value_is_found_until_its_last_second_and_not_after() {
        let mut kept = Expiring::new(2, 60);
        let name = kept.keep("value", 1000).unwrap();
        assert_eq!(kept.find(&name, 1059), Some(&"value"));
        assert_eq!(kept.find(&name, 1060), None);
        assert_eq!(kept.take(&name, 1060), None);
    }

    #[test]
    fn a_value_is_taken_once() {
        let mut kept = Expiring::new(2, 60);
        let name = kept.keep("value", 0).unwrap();
        assert_eq!(kept.take(&name, 1), Some("value"));
        assert_eq!(kept.take(&name, 1), None);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut kept = Expiring::new(2, 60);
        let first = kept.keep(1, 0).unwrap();
        let second = kept.keep(2, 0).unwrap();
        let third = kept.keep(3, 0).unwrap();
        assert_eq!(kept.find(&first, 0), None);
        assert_eq!(kept.find(&second, 0), Some(&2));
        assert_eq!(kept.find(&third, 0), Some(&3));
        assert_eq!(kept.entries.len(), 2);
    }
}
