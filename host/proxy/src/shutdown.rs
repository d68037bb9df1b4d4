//! The request to shut down, and the signals that the process reacts to.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::limits;

/// How far the proxy is on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Everything is served.
    Serving,
    /// Connections are accepted and their requests served, and each connection ends after a request.
    Draining,
    /// No connection is accepted. Requests in progress may end.
    Stopping,
    /// As before, and connections without a request in progress end at once.
    Aborting,
}

/// A request to shut down, whose stages follow each other and are seen by everything that holds a clone.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    stage: Arc<watch::Sender<Stage>>,
    /// When requests in progress are cut off.
    deadline: Arc<OnceLock<Instant>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            stage: Arc::new(watch::Sender::new(Stage::Serving)),
            deadline: Arc::default(),
        }
    }
}

impl Shutdown {
    /// Begins to drain: connections end after a request, and the requests have to end before the deadline.
    pub(crate) fn drain(&self, deadline: Instant) {
        // A deadline that was set before is kept.
        let _ = self.deadline.set(deadline);
        self.advance(Stage::Draining);
    }

    /// Stops accepting connections, and closes WebSockets.
    pub(crate) fn stop(&self) {
        self.advance(Stage::Stopping);
    }

    /// Triggers the shutdown without draining.
    pub(crate) fn trigger(&self) {
        self.advance(Stage::Aborting);
    }

    /// Returns whether connections have to end after a request.
    pub(crate) fn is_draining(&self) -> bool {
        *self.stage.borrow() >= Stage::Draining
    }

    /// Returns whether no connection is accepted any more.
    pub(crate) fn is_triggered(&self) -> bool {
        *self.stage.borrow() >= Stage::Stopping
    }

    /// Returns how long requests in progress may still take.
    pub(crate) fn time_left(&self) -> Duration {
        match self.deadline.get() {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => limits::GRACE,
        }
    }

    /// Completes when connections have to end after a request, even if that was earlier. Cancel safe.
    pub(crate) async fn draining(&self) {
        self.reach(Stage::Draining).await;
    }

    /// Completes when the proxy stops or the shutdown was triggered, even if that was earlier. Cancel safe.
    pub(crate) async fn triggered(&self) {
        self.reach(Stage::Stopping).await;
    }

    /// Completes when a connection has had its time for one more request: [`limits::LAST_REQUEST`] from now on, or none when
    /// nothing is drained. Cancel safe.
    pub(crate) async fn last_request(&self) {
        // When it completes early, there is no reason to wait.
        let _ = timeout(limits::LAST_REQUEST, self.reach(Stage::Aborting)).await;
    }

    async fn reach(&self, stage: Stage) {
        let mut receiver = self.stage.subscribe();
        // The sender lives as long as `self`, so that this cannot fail.
        let _ = receiver.wait_for(|current| *current >= stage).await;
    }

    /// Goes on to a stage, and never back.
    fn advance(&self, stage: Stage) {
        self.stage.send_if_modified(|current| {
            let is_later = stage > *current;
            if is_later {
                *current = stage;
            }
            is_later
        });
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

    #[tokio::test(start_paused = true)]
    async fn stages_follow_each_other_and_none_is_taken_back() {
        let shutdown = Shutdown::default();
        assert!(!shutdown.is_draining());
        assert_eq!(shutdown.time_left(), limits::GRACE);
        let time = Duration::from_secs(3);
        shutdown.drain(Instant::now() + time);
        shutdown.draining().await;
        assert!(shutdown.is_draining() && !shutdown.is_triggered());
        assert_eq!(shutdown.time_left(), time);
        shutdown.stop();
        shutdown.drain(Instant::now() + time * 2);
        assert!(shutdown.is_triggered());
        assert_eq!(shutdown.time_left(), time, "the first deadline counts");
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_drain_leaves_time_for_one_more_request() {
        let shutdown = Shutdown::default();
        let began = Instant::now();
        shutdown.drain(began + limits::GRACE);
        shutdown.last_request().await;
        assert_eq!(began.elapsed(), limits::LAST_REQUEST);
        shutdown.trigger();
        shutdown.last_request().await;
        assert_eq!(began.elapsed(), limits::LAST_REQUEST);
    }
}
