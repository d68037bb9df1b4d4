//! The proxy as a whole: listeners, workers, start and stop.

mod common;
mod generations;
mod listen;
mod proxy;
mod reload;
mod shared_limits;
mod stop;
#[cfg(test)]
mod tests;
mod vital;
mod watch;
mod worker;

pub use common::Settings;
pub(crate) use generations::Generations;
pub use listen::{addresses, try_address};
pub(crate) use proxy::Proxy;
pub(crate) use stop::{Stop, interrupted};

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::caught::caught_call;
use crate::limits;
use common::Common;
use jetway_config_file::file;
use reload::Order;
use watch::Watch;

/// One worker per processor that this process may use.
pub fn default_workers() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Serves until SIGTERM or SIGINT; calls `announce` when connections are accepted.
///
/// # Errors
/// Settings that cannot be used, or a worker that ended by itself.
pub fn run(settings: Settings, announce: impl FnOnce(&Running)) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        // Before the workers, so that an early signal is not lost.
        let interrupted = interrupted()?;
        let mut running = start(settings)?;
        announce(&running);
        let result = tokio::select! {
            () = interrupted => Ok(()),
            failure = running.failed() => Err(failure),
        };
        running.end_after(result)
    })
}

/// As [`run`], and reads the settings anew at SIGHUP and when a file has changed that they were read from.
///
/// # Errors
/// As [`run`]. Settings that cannot be used later are logged, and the old ones stay in force.
pub fn run_reloading(
    mut read: impl FnMut() -> anyhow::Result<Settings>,
    announce: impl FnOnce(&Running),
) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let mut interrupted = pin!(interrupted()?);
        let mut hang_ups = stop::hang_ups()?;
        let mut watch = Watch::default();
        let (running, files) = file::noting(|| start(read()?));
        watch.set(files);
        let mut running = running?;
        announce(&running);
        let mut looks = tokio::time::interval(limits::WATCH);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut interrupted => return running.end_after(Ok(())),
                failure = running.failed() => return running.end_after(Err(failure)),
                _ = hang_ups.recv() => {}
                _ = looks.tick() => if !watch.is_changed() {
                    continue;
                }
            }
            // What a failed attempt has read is watched, too: a change of any of it may mend it.
            let (result, files) = file::noting(|| running.reload(caught_call(&mut read)?));
            watch.set(files);
            match result {
                Ok(()) => tracing::info!("the configuration was read anew and is in force"),
                Err(error) => tracing::error!(
                    "the configuration cannot be used, the old one stays in force: {error:#}"
                ),
            }
        }
    })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

/// Starts a proxy and returns when it accepts connections. Blocks meanwhile (a second, to compile the module).
///
/// # Errors
/// Addresses, certificates or a plugin that cannot be used.
pub(crate) fn start(settings: Settings) -> anyhow::Result<Running> {
    let workers = settings.workers.get();
    let secure = settings.certificates.is_secure();
    // Addresses first: an address in use is the commonest mistake and quickly told.
    let listeners = listen::bind_all(&settings.addresses, workers)?;
    let addresses = listen::local_addresses(&listeners)?;
    let common = Arc::new(Common::prepare(settings)?);
    let stop = Stop::default();
    let (ready_sender, ready) = std::sync::mpsc::channel();
    let (failure_sender, failures) = mpsc::unbounded_channel();
    let mut running = Running {
        addresses,
        secure,
        common: Arc::clone(&common),
        orders: Vec::new(),
        stop: stop.clone(),
        threads: Vec::new(),
        failures,
    };
    for (index, listeners) in listeners.into_iter().enumerate() {
        let (order, orders) = mpsc::unbounded_channel();
        running.orders.push(order);
        let start = worker::Start {
            orders,
            listeners,
            common: Arc::clone(&common),
            stop: stop.clone(),
            ready: ready_sender.clone(),
            failures: failure_sender.clone(),
        };
        let thread = std::thread::Builder::new().name(format!("worker-{index}"));
        running.threads.push(
            thread
                .spawn(move || worker::run(start))
                .context("cannot start a worker thread")?,
        );
    }
    drop(ready_sender);
    for _ in 0..workers {
        ready
            .recv()
            .context("a worker ended before it was ready")??;
    }
    Ok(running)
}

/// A proxy that accepts connections. Dropping it stops it.
pub struct Running {
    addresses: Vec<SocketAddr>,
    secure: bool,
    /// What is in force.
    common: Arc<Common>,
    /// To the workers.
    orders: Vec<mpsc::UnboundedSender<Order>>,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
    failures: mpsc::UnboundedReceiver<anyhow::Error>,
}

impl Running {
    /// Where it listens, ports chosen by the system included, as URLs.
    pub fn urls(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        self.addresses
            .iter()
            .map(|address| format!("{scheme}://{address}"))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Completes when a worker ended although nobody asked it to. Cancel safe.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        self.failures
            .recv()
            .await
            .unwrap_or_else(|| anyhow!("all workers ended"))
    }

    /// Stops accepting, lets requests in flight end for up to ten seconds, closes tunnels and returns.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end_after(self, result: anyhow::Result<()>) -> anyhow::Result<()> {
        match &result {
            Ok(()) => tracing::info!("stopping: requests in flight may end"),
            Err(error) => tracing::error!("stopping with an error: {error:#}"),
        }
        self.stop();
        result
    }

    fn end(&mut self) {
        self.stop.order();
        for thread in self.threads.drain(..) {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
