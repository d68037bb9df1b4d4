//! The order to stop, and the signals that give it.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The order to stop, given once and seen by everything that holds a clone.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    ordered: Arc<watch::Sender<bool>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            ordered: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl Stop {
    /// Gives the order.
    pub(crate) fn order(&self) {
        self.ordered.send_replace(true);
    }

    /// Completes when this order was given, or the other one. Cancel safe.
    pub(crate) async fn or(&self, other: &Self) {
        tokio::select! {
            () = self.ordered() => {}
            () = other.ordered() => {}
        }
    }

    /// Completes when the order was given, also if that was earlier. Cancel safe.
    pub(crate) async fn ordered(&self) {
        let mut receiver = self.ordered.subscribe();
        // The sender lives as long as `self`, so that this cannot fail.
        let _ = receiver.wait_for(|ordered| *ordered).await;
    }
}

/// Listens for SIGTERM and SIGINT from now on; the future completes at the first.
///
/// # Errors
/// Signals that cannot be listened for.
pub(crate) fn interrupted() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Listens for SIGHUP from now on.
///
/// # Errors
/// Signals that cannot be listened for.
pub(super) fn hang_ups() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("cannot listen for SIGHUP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_is_seen_early_and_late() {
        let stop = Stop::default();
        let waiting = stop.clone();
        let (early, ()) = tokio::join!(
            async move {
                waiting.ordered().await;
                true
            },
            async { stop.order() }
        );
        assert!(early);
        stop.ordered().await;
    }
}
