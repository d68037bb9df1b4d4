//! Counts of the instances of plugins, for the metrics of the proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::{ResourceLimiter, StoreLimits};

/// Counts the instances of all plugins that share it, their traps and their memory.
#[derive(Debug, Default)]
pub struct PluginActivity {
    /// The counts of all plugins, if these are those of some.
    all: Option<Arc<Self>>,
    instances: AtomicU64,
    traps: AtomicU64,
    memory_bytes: AtomicU64,
}

impl PluginActivity {
    /// Returns counts for further plugins, for instance those of the next configuration, whose numbers are also in
    /// [`Self::all`].
    #[must_use]
    pub fn of_one_more(self: &Arc<Self>) -> Arc<Self> {
        let all = self.all.as_ref().unwrap_or(self);
        Arc::new(Self {
            all: Some(Arc::clone(all)),
            ..Self::default()
        })
    }

    /// Returns the counts of all plugins.
    #[must_use]
    pub fn all(&self) -> &Self {
        self.all.as_deref().unwrap_or(self)
    }

    /// Changes a number here and in the counts of all plugins.
    fn change(&self, change: impl Fn(&Self)) {
        change(self);
        self.all.iter().for_each(|all| change(all));
    }

    /// Returns the number of instances that exist.
    pub fn instances(&self) -> u64 {
        self.instances.load(Ordering::Relaxed)
    }

    /// Returns how many running instances were stopped by a trap or a deadline.
    pub fn traps(&self) -> u64 {
        self.traps.load(Ordering::Relaxed)
    }

    /// Returns the bytes of the memories of all instances.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn count_trap(&self) {
        self.change(|activity| {
            activity.traps.fetch_add(1, Ordering::Relaxed);
        });
    }
}

/// The limits of one instance, which also count it and its memory as long as it exists.
pub(crate) struct CountedLimits {
    limits: StoreLimits,
    activity: Arc<PluginActivity>,
    memory_bytes: u64,
}

impl CountedLimits {
    pub(crate) fn new(limits: StoreLimits, activity: Arc<PluginActivity>) -> Self {
        activity.change(|activity| {
            activity.instances.fetch_add(1, Ordering::Relaxed);
        });
        Self {
            limits,
            activity,
            memory_bytes: 0,
        }
    }
}

impl Drop for CountedLimits {
    fn drop(&mut self) {
        self.activity.change(|activity| {
            let memory_bytes = &activity.memory_bytes;
            activity.instances.fetch_sub(1, Ordering::Relaxed);
            memory_bytes.fetch_sub(self.memory_bytes, Ordering::Relaxed);
        });
    }
}

impl ResourceLimiter for CountedLimits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let is_allowed = self.limits.memory_growing(current, desired, maximum)?;
        if is_allowed {
            let grown = desired.saturating_sub(current) as u64;
            self.memory_bytes = self.memory_bytes.saturating_add(grown);
            self.activity.change(|activity| {
                activity.memory_bytes.fetch_add(grown, Ordering::Relaxed);
            });
        }
        Ok(is_allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::StoreLimitsBuilder;

    #[test]
    fn an_instance_and_its_memory_are_counted_as_long_as_it_exists() {
        let activity = Arc::<PluginActivity>::default();
        let limits = StoreLimitsBuilder::new().memory_size(100).build();
        let mut one = CountedLimits::new(limits, Arc::clone(&activity));
        assert!(one.memory_growing(0, 40, None).unwrap());
        assert!(one.memory_growing(40, 100, None).unwrap());
        assert!(!one.memory_growing(100, 101, None).unwrap());
        assert_eq!((activity.instances(), activity.memory_bytes()), (1, 100));
        drop(one);
        assert_eq!((activity.instances(), activity.memory_bytes()), (0, 0));
    }

    #[test]
    fn further_plugins_have_counts_of_their_own_and_are_in_those_of_all() {
        let first = Arc::<PluginActivity>::default();
        let next = first.of_one_more();
        let last = next.of_one_more();
        let instance = |activity: &Arc<PluginActivity>| {
            CountedLimits::new(StoreLimitsBuilder::new().build(), Arc::clone(activity))
        };
        let (old, one, other) = (instance(&first), instance(&next), instance(&last));
        assert_eq!((next.instances(), last.instances()), (1, 1));
        assert_eq!(last.all().instances(), 3);
        drop((old, one, other));
        assert_eq!((next.instances(), last.all().instances()), (0, 0));
    }
}
