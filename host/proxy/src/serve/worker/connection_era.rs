//! Tells when the connections of an earlier time have ended.

use std::cell::RefCell;

use tokio::sync::watch;

/// The connections that a worker has accepted since the era began.
#[derive(Default)]
pub(super) struct ConnectionEra(RefCell<watch::Sender<()>>);

/// The membership of a connection in its era. Dropping it ends it.
pub(super) struct EraMember {
    _receiver: watch::Receiver<()>,
}

impl ConnectionEra {
    /// Adds a connection to the era.
    pub(super) fn join(&self) -> EraMember {
        EraMember {
            _receiver: self.0.borrow().subscribe(),
        }
    }

    /// Begins a new era; the future completes when all connections of the one before have ended. A connection ends when it
    /// becomes a WebSocket.
    pub(super) fn renew(&self) -> impl Future<Output = ()> + use<> {
        let earlier = self.0.take();
        async move { earlier.closed().await }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn an_era_ends_with_its_last_connection() {
        let era = ConnectionEra::default();
        era.renew().await;
        let (first, second) = (era.join(), era.join());
        let mut ended = Box::pin(era.renew());
        let later = era.join();
        drop(first);
        assert!(ended.as_mut().now_or_never().is_none());
        drop(second);
        ended.await;
        drop(later);
    }
}
