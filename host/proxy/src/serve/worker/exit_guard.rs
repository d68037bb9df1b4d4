//! Reports the unexpected end of a worker.

use anyhow::anyhow;
use tokio::sync::mpsc;

use crate::catch_panic::Panicked;
use crate::shutdown::Shutdown;

/// Reports to the main thread when a worker ends before the proxy shuts down, by a panic for example.
pub(super) struct ExitGuard {
    shutdown: Shutdown,
    failures: mpsc::UnboundedSender<anyhow::Error>,
    is_armed: bool,
}

impl ExitGuard {
    /// Creates an armed guard.
    pub(super) fn new(shutdown: Shutdown, failures: mpsc::UnboundedSender<anyhow::Error>) -> Self {
        Self {
            shutdown,
            failures,
            is_armed: true,
        }
    }

    /// Reports why this worker, and with it the process, is about to end.
    pub(super) fn report(&self, failure: &anyhow::Error) {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("a worker");
        // The main thread may be about to end, too.
        let _ = self.failures.send(anyhow!("{name}: {failure:#}"));
        self.shutdown.trigger();
    }

    /// Ends the guard of a worker that ends as expected.
    pub(super) fn disarm(mut self) {
        self.is_armed = false;
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        if self.is_armed {
            self.report(&Panicked.into());
        }
    }
}
