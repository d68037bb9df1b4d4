//! Tells the service manager how the proxy is (sd_notify(3)): started, reloading, stopping, and that all workers are alive.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::reload::WorkerCommand;
use crate::limits;

/// Sends messages to the service manager.
type Sender = dyn Fn(&[NotifyState<'_>]) -> io::Result<()> + Send + Sync;

/// The senders of commands to all workers.
pub(super) type Workers = Vec<mpsc::UnboundedSender<WorkerCommand>>;

/// The service manager that has started this process. Without one, nothing is sent.
#[derive(Clone)]
pub(super) struct ServiceManager {
    send: Arc<Sender>,
    /// The time within which a sign of life has to arrive, or else the service manager restarts the process.
    watchdog: Option<Duration>,
}

/// The tasks that report to the service manager. Dropping it ends them.
pub(super) struct Reports(Vec<JoinHandle<()>>);

impl Drop for Reports {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl ServiceManager {
    /// Reads the variables that the service manager has set.
    pub(super) fn from_environment() -> Self {
        Self {
            send: Arc::new(sd_notify::notify),
            watchdog: sd_notify::watchdog_enabled(),
        }
    }

    /// Reports that connections are accepted, after a start or a reload, and the status.
    pub(super) fn ready(&self, status: &str) {
        self.notify(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// Reports that the configuration is read again. [`Self::ready`] has to follow, whatever its outcome.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.notify(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "cannot read the monotonic clock"),
        }
    }

    /// Reports that the proxy stops.
    pub(super) fn stopping(&self) {
        let status = "stopping: requests in progress may end";
        self.notify(&[NotifyState::Stopping, NotifyState::Status(status)]);
    }

    /// Starts to report the status of the proxy, and that its workers are alive. Must run within a runtime, whose thread is
    /// thereby watched, too.
    pub(super) fn report(
        &self,
        status: impl Fn() -> String + Send + 'static,
        workers: Workers,
    ) -> Reports {
        let status = tokio::spawn(self.clone().report_status(status));
        let alive = self.watchdog.map(|time| {
            // Half of the time is what sd_watchdog_enabled(3) recommends.
            tokio::spawn(self.clone().report_life(time / 2, workers))
        });
        Reports(std::iter::once(status).chain(alive).collect())
    }

    async fn report_status(self, status: impl Fn() -> String) {
        let mut sent = String::new();
        loop {
            tokio::time::sleep(limits::SERVICE_STATUS).await;
            let status = status();
            if status != sent {
                self.notify(&[NotifyState::Status(&status)]);
                sent = status;
            }
        }
    }

    /// Sends a sign of life as long as every worker gives one.
    async fn report_life(self, every: Duration, workers: Workers) {
        // A period of zero is none.
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            wait_for_workers(&workers).await;
            self.notify(&[NotifyState::Watchdog]);
        }
    }

    fn notify(&self, state: &[NotifyState<'_>]) {
        if let Err(error) = (self.send)(state) {
            tracing::warn!(%error, "cannot reach the service manager");
        }
    }
}

/// Completes when every worker has carried out a command. A worker that hangs or has ended does not.
async fn wait_for_workers(workers: &Workers) {
    let (reply, mut replies) = mpsc::channel(workers.len().max(1));
    for worker in workers {
        // What was not sent gets no reply.
        let _ = worker.send(WorkerCommand::Heartbeat(reply.clone()));
    }
    for _ in workers {
        if replies.recv().await.is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
