//! Counters with one copy per worker, so that workers do not write to the same memory.

use std::sync::Arc;

/// Counters that can be read.
pub(super) trait Readable: Default {
    /// The sums of several copies.
    type Reading: Default + Clone;

    /// Adds what was counted to a reading.
    fn add_to(&self, reading: &mut Self::Reading);
}

/// The copies of the same counters, and what copies counted that are no longer used.
#[derive(Debug)]
pub(super) struct Shards<T: Readable> {
    live: Vec<Arc<T>>,
    past: T::Reading,
}

impl<T: Readable> Default for Shards<T> {
    fn default() -> Self {
        Self {
            live: Vec::new(),
            past: T::Reading::default(),
        }
    }
}

impl<T: Readable> Shards<T> {
    /// Adds a copy, which counts as long as the result lives.
    pub(super) fn add(&mut self) -> Arc<T> {
        self.fold();
        let shard = Arc::<T>::default();
        self.live.push(Arc::clone(&shard));
        shard
    }

    /// Returns the sums of all copies.
    pub(super) fn read(&mut self) -> T::Reading {
        self.fold();
        let mut reading = self.past.clone();
        for shard in &self.live {
            shard.add_to(&mut reading);
        }
        reading
    }

    /// Returns whether a copy is still in use.
    pub(super) fn is_used(&self) -> bool {
        self.live.iter().any(|shard| Arc::strong_count(shard) > 1)
    }

    /// Keeps the sums of copies that only this list still holds, and forgets the copies, which nothing can reach any more.
    fn fold(&mut self) {
        let past = &mut self.past;
        // `get_mut` sees what the last holder has counted; the number of holders alone does not say so.
        self.live.retain_mut(|shard| match Arc::get_mut(shard) {
            Some(ended) => {
                ended.add_to(past);
                false
            }
            None => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Counter;

    impl Readable for Counter {
        type Reading = u64;

        fn add_to(&self, reading: &mut u64) {
            *reading += self.get();
        }
    }

    #[test]
    fn copies_are_summed_and_ended_ones_are_kept_as_a_number() {
        let mut shards = Shards::<Counter>::default();
        let (one, other) = (shards.add(), shards.add());
        one.add(2);
        other.add(3);
        assert_eq!(shards.read(), 5);
        drop(one);
        assert_eq!(shards.read(), 5);
        assert_eq!(shards.live.len(), 1);
        shards.add().increment();
        assert_eq!((shards.read(), shards.live.len()), (6, 1));
        assert!(shards.is_used());
        drop(other);
        assert!(!shards.is_used());
        assert_eq!(shards.read(), 6);
    }
}
