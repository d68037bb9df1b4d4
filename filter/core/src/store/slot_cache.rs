//! A cache of one module instance that cannot grow.

use std::cell::RefCell;
use std::fmt;
use std::hash::{BuildHasher as _, Hash};

use rustc_hash::FxBuildHasher;

/// A cache with a fixed number of slots, of which each key has one.
///
/// It needs no bookkeeping: a new entry replaces the one in its slot. Keys that share a slot only cost the work again that the
/// cache saves, each time they alternate. An entry holds its own key, and the caller compares it, so that a lookup needs no
/// owned key and can be in constant time.
pub(crate) struct SlotCache<T, const SLOTS: usize> {
    /// Empty until the first entry: most configurations need only some of the caches.
    slots: RefCell<Vec<Option<T>>>,
}

impl<T, const SLOTS: usize> SlotCache<T, SLOTS> {
    /// Returns what `read` makes of the entry in the slot of `key`. `read` compares the keys, and returns `None` for another
    /// one.
    pub(crate) fn find<R>(&self, key: impl Hash, read: impl FnOnce(&T) -> Option<R>) -> Option<R> {
        let slots = self.slots.borrow();
        slots.get(Self::slot(key))?.as_ref().and_then(read)
    }

    /// Puts an entry into the slot of its key.
    pub(crate) fn insert(&self, key: impl Hash, entry: T) {
        let mut slots = self.slots.borrow_mut();
        if slots.is_empty() {
            slots.resize_with(SLOTS, || None);
        }
        if let Some(slot) = slots.get_mut(Self::slot(key)) {
            *slot = Some(entry);
        }
    }

    /// Removes all entries.
    pub(crate) fn clear(&self) {
        self.slots.borrow_mut().clear();
    }

    /// Returns how many slots are allocated.
    #[cfg(test)]
    pub(crate) fn count_slots(&self) -> usize {
        self.slots.borrow().len()
    }

    fn slot(key: impl Hash) -> usize {
        let hash = FxBuildHasher.hash_one(key) % SLOTS as u64;
        usize::try_from(hash).unwrap_or_default()
    }
}

impl<T, const SLOTS: usize> Default for SlotCache<T, SLOTS> {
    fn default() -> Self {
        Self {
            slots: RefCell::default(),
        }
    }
}

impl<T, const SLOTS: usize> fmt::Debug for SlotCache<T, SLOTS> {
    /// Entries may hold sessions and tokens: none is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotCache({SLOTS} slots)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<const SLOTS: usize>(cache: &SlotCache<(u32, &str), SLOTS>, key: u32) -> Option<String> {
        cache.find(key, |(known, value)| {
            (*known == key).then(|| (*value).to_owned())
        })
    }

    #[test]
    fn an_entry_is_found_until_another_one_takes_its_slot() {
        let cache = SlotCache::<_, 1>::default();
        assert_eq!(find(&cache, 1), None);
        cache.insert(1, (1, "one"));
        assert_eq!(find(&cache, 1).as_deref(), Some("one"));
        assert_eq!(find(&cache, 2), None, "the key in the slot is another one");
        cache.insert(2, (2, "two"));
        assert_eq!(find(&cache, 1), None);
        assert_eq!(find(&cache, 2).as_deref(), Some("two"));
        cache.clear();
        assert_eq!(find(&cache, 2), None);
    }

    #[test]
    fn memory_is_bounded_and_keys_are_spread() {
        let cache = SlotCache::<_, 64>::default();
        assert_eq!(cache.count_slots(), 0);
        for key in 0..10_000 {
            cache.insert(key, (key, "value"));
        }
        assert_eq!(cache.count_slots(), 64);
        let used = cache.slots.borrow().iter().flatten().count();
        assert_eq!(used, 64, "each slot is the slot of some key");
    }

    /// Of 512 random keys in 512 slots, about 324 have one of their own (1 - 1/e).
    #[test]
    fn digests_are_spread_over_the_slots() {
        let cache = SlotCache::<_, 512>::default();
        for number in 0..512_u32 {
            let digest = crate::digest::hash::<32>(&number.to_be_bytes());
            cache.insert(digest, digest);
        }
        let used = cache.slots.borrow().iter().flatten().count();
        assert!((290..360).contains(&used), "{used} slots are used");
    }

    #[test]
    fn debug_output_shows_no_entry() {
        let cache = SlotCache::<_, 4>::default();
        cache.insert(1, (1, "secret"));
        assert_eq!(format!("{cache:?}"), "SlotCache(4 slots)");
    }
}
