//! Descriptors for one kind of connection, shared by all workers: with all of them in use, a connection waits for one.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Hit;

/// Descriptors for connections of one kind, such as those to upstreams.
#[derive(Clone)]
pub(crate) struct Descriptors {
    free: Arc<Semaphore>,
    all: usize,
    hit: Hit,
}

/// One of them, given back when it is dropped.
pub(crate) type Descriptor = Arc<OwnedSemaphorePermit>;

impl Descriptors {
    /// So many; `hit` is noted when they do not suffice.
    pub(crate) fn new(all: u32, hit: Hit) -> Self {
        let all = all as usize;
        Self {
            free: Arc::new(Semaphore::new(all)),
            all,
            hit,
        }
    }

    /// Takes one, and waits until there is one. `None` never comes about: they are never taken away.
    pub(super) async fn take(&self) -> Option<Descriptor> {
        let free = Arc::clone(&self.free);
        if let Ok(descriptor) = Arc::clone(&free).try_acquire_owned() {
            return Some(Arc::new(descriptor));
        }
        self.hit.note(format_args!("{} connections", self.all));
        free.acquire_owned().await.ok().map(Arc::new)
    }

    /// Whether there is enough left to keep an idle connection, which nobody else can use: a quarter.
    pub(super) fn are_plenty(&self) -> bool {
        self.free.available_permits() >= self.all / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_connection_waits_until_there_is_a_descriptor() {
        let descriptors = Descriptors::new(2, Hit::Upstreams);
        let first = descriptors.take().await;
        assert!(descriptors.are_plenty());
        let second = descriptors.take().await;
        assert!(!descriptors.are_plenty());
        let hits = Hit::Upstreams.count();
        let mut third = Box::pin(descriptors.take());
        assert!(third.as_mut().now_or_never().is_none());
        assert!(Hit::Upstreams.count() > hits);
        drop(first);
        assert!(third.await.is_some());
        drop(second);
    }
}
