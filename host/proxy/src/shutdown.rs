//! The request to shut down, and the signals that the process reacts to.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// A request to shut down, which is triggered once and seen by everything that holds a clone.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    sender: Arc<watch::Sender<bool>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            sender: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl Shutdown {
    /// Triggers the shutdown.
    pub(crate) fn trigger(&self) {
        self.sender.send_replace(true);
    }

    /// Completes when the shutdown was triggered, even if that was earlier. Cancel safe.
    pub(crate) async fn triggered(&self) {
        let mut receiver = self.sender.subscribe();
        // The sender lives as long as `self`, so that this cannot fail.
        let _ = receiver.wait_for(|is_triggered| *is_triggered).await;
    }
}

/// Listens for SIGTERM and SIGINT from now on; the future completes at the first.
///
/// # Errors
/// The process cannot listen for the signals.
pub(crate) fn listen_for_termination() -> anyhow::Result<impl Future<Output = ()>> {
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
/// The process cannot listen for the signal.
pub(crate) fn listen_for_hang_up() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("cannot listen for SIGHUP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trigger_is_seen_early_and_late() {
        let shutdown = Shutdown::default();
        let waiting = shutdown.clone();
        let (early, ()) = tokio::join!(
            async move {
                waiting.triggered().await;
                true
            },
            async { shutdown.trigger() }
        );
        assert!(early);
        shutdown.triggered().await;
    }
}
