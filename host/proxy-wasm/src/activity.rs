//! What the instances of a plugin do, for the metrics of the proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::{ResourceLimiter, StoreLimits};

/// Counts the instances of all plugins that share it, their traps and their memory.
#[derive(Debug, Default)]
pub struct PluginActivity {
    instances: AtomicU64,
    traps: AtomicU64,
    memory_bytes: AtomicU64,
}

impl PluginActivity {
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
        self.traps.fetch_add(1, Ordering::Relaxed);
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
        activity.instances.fetch_add(1, Ordering::Relaxed);
        Self {
            limits,
            activity,
            memory_bytes: 0,
        }
    }
}

impl Drop for CountedLimits {
    fn drop(&mut self) {
        let activity = &self.activity;
        activity.instances.fetch_sub(1, Ordering::Relaxed);
        activity
            .memory_bytes
            .fetch_sub(self.memory_bytes, Ordering::Relaxed);
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
            let total = &self.activity.memory_bytes;
            total.fetch_add(grown, Ordering::Relaxed);
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
}
