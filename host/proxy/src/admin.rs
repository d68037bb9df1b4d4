//! The listeners for metrics, probes and operators. They have a thread of their own, so that a busy or stuck worker cannot hide
//! its own state, and few connections, each for one request.

mod endpoint;
mod listener;
mod overview;
mod status;

pub(crate) use endpoint::Audience;
pub(crate) use listener::{AdminListener, AdminSocket};
pub(crate) use overview::{Overview, Stage};

use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::task::LocalSet;

use crate::shutdown::Shutdown;

/// The running listeners. Dropping it stops them.
pub(crate) struct AdminServer {
    stop: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl AdminServer {
    /// Starts to serve these listeners on a thread of their own.
    ///
    /// # Errors
    /// The thread or its runtime cannot be started.
    pub(crate) fn start(
        listeners: Vec<AdminListener>,
        overview: &Arc<Overview>,
    ) -> anyhow::Result<Self> {
        let stop = Shutdown::default();
        if listeners.is_empty() {
            return Ok(Self { stop, thread: None });
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime of the admin listeners")?;
        let (overview, stopped) = (Arc::clone(overview), stop.clone());
        let serve = move || {
            let tasks = LocalSet::new();
            tasks.block_on(&runtime, async {
                for listener in listeners {
                    tokio::task::spawn_local(listener::serve(listener, Arc::clone(&overview)));
                }
                stopped.triggered().await;
            });
        };
        let thread = std::thread::Builder::new().name("admin".to_owned());
        let thread = thread
            .spawn(serve)
            .context("cannot start the admin thread")?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stop.trigger();
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}
