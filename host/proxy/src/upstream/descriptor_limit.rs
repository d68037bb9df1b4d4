//! Limits the descriptors for one kind of outgoing connection, in all workers together.

use std::sync::Arc;

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::limits::Hit;
use crate::metrics::OutgoingMetrics;

/// Descriptors for one kind of outgoing connection. A connection waits while all of them are in use.
#[derive(Clone)]
pub(crate) struct DescriptorLimit {
    free: Arc<Semaphore>,
    limit: usize,
    /// Notified when a connection has to wait.
    awaited: Arc<Notify>,
    hit: Hit,
    metrics: Arc<OutgoingMetrics>,
}

/// A descriptor in use. Dropping the last clone frees it.
pub(crate) type DescriptorPermit = Arc<OwnedSemaphorePermit>;

impl DescriptorLimit {
    /// Creates this many free descriptors; `hit` is recorded when a connection has to wait.
    pub(crate) fn new(limit: u32, hit: Hit) -> Self {
        let limit = limit as usize;
        Self {
            free: Arc::new(Semaphore::new(limit)),
            limit,
            awaited: Arc::default(),
            hit,
            metrics: Arc::default(),
        }
    }

    /// Returns what is measured of these connections.
    pub(crate) fn metrics(&self) -> &OutgoingMetrics {
        &self.metrics
    }

    /// Returns the number of descriptors in use.
    pub(crate) fn in_use(&self) -> usize {
        self.limit.saturating_sub(self.free.available_permits())
    }

    /// Acquires a descriptor and waits while none is free. The semaphore is never closed, so that `None` does not occur.
    pub(super) async fn acquire(&self) -> Option<DescriptorPermit> {
        let free = Arc::clone(&self.free);
        if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
            return Some(Arc::new(permit));
        }
        self.hit.record(format_args!("limit {}", self.limit));
        self.awaited.notify_waiters();
        free.acquire_owned().await.ok().map(Arc::new)
    }

    /// Returns whether enough descriptors are free to keep idle connections: a quarter. An idle connection is of use only to
    /// its own worker and upstream.
    pub(super) fn has_spare(&self) -> bool {
        self.free.available_permits() >= (self.limit / 4).max(1)
    }

    /// Completes when a connection of any worker has to wait for a descriptor after this call. Idle connections of all
    /// workers have to make room for it. Cancel safe.
    pub(crate) fn awaited(&self) -> Notified<'_> {
        self.awaited.notified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn the_last_descriptor_is_not_kept_by_an_idle_connection() {
        let descriptors = DescriptorLimit::new(2, Hit::UpstreamDescriptors);
        let one = descriptors.acquire().await;
        assert!(descriptors.has_spare());
        let other = descriptors.acquire().await;
        assert!(!descriptors.has_spare());
        drop((one, other));
    }

    #[tokio::test]
    async fn a_connection_waits_for_a_free_descriptor() {
        let descriptors = DescriptorLimit::new(4, Hit::UpstreamDescriptors);
        let mut used = Vec::new();
        for _ in 0..4 {
            assert!(descriptors.has_spare());
            used.push(descriptors.acquire().await.unwrap());
        }
        assert!(!descriptors.has_spare());
        let hits = Hit::UpstreamDescriptors.count();
        let awaited = descriptors.awaited();
        let mut waiting = Box::pin(descriptors.acquire());
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(Hit::UpstreamDescriptors.count() > hits);
        assert!(awaited.now_or_never().is_some(), "all workers are told");
        let clone = used.last().map(Arc::clone);
        used.pop();
        assert!(waiting.as_mut().now_or_never().is_none(), "a clone uses it");
        drop(clone);
        assert!(waiting.await.is_some());
    }
}
