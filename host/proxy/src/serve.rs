//! Starts and stops the proxy: listeners, workers, signals and reloads.

mod file_watcher;
mod listen;
mod monitoring;
mod reload;
#[cfg(test)]
mod tests;
mod vital_tasks;
mod worker;

pub use crate::proxy::{ProcessFacts, Settings};
pub use listen::{parse_addresses, try_address};

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::{Arc, mpsc as std_channel};
use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow};
use jetway_config_file::file;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::admin::{AdminServer, Overview, Stage};
use crate::catch_panic::catch_panic_in;
use crate::limits;
use crate::proxy::ProxyShared;
use crate::shutdown::{Shutdown, listen_for_hang_up, listen_for_termination};
use file_watcher::FileWatcher;
use reload::WorkerCommand;
use worker::WorkerStart;

/// Returns the number of processors that this process may use: one worker for each.
pub fn default_workers() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Serves until SIGTERM, SIGINT or SIGHUP, as there is nothing to reload; calls `announce` when the proxy accepts connections.
/// `prepare` returns the settings: a signal that comes meanwhile does not end the process, but stops the proxy when it has
/// started.
///
/// # Errors
/// The settings cannot be used, or a worker ended unexpectedly.
pub fn run(
    prepare: impl FnOnce() -> anyhow::Result<Settings>,
    announce: impl FnOnce(&Running),
) -> anyhow::Result<()> {
    build_runtime()?.block_on(async {
        // Before the workers start, so that an early signal is not lost.
        let termination = listen_for_termination()?;
        let mut hang_ups = listen_for_hang_up()?;
        let mut running = start(prepare()?)?;
        announce(&running);
        let result = tokio::select! {
            () = termination => Ok(()),
            _ = hang_ups.recv() => Ok(()),
            failure = running.next_failure() => Err(failure),
        };
        running.stop_after(result)
    })
}

/// Serves as [`run`] does, and reads the settings again at SIGHUP and when a file that they were read from has changed.
///
/// # Errors
/// The same as of [`run`]. Settings of a reload that cannot be used are logged, and the previous ones stay active.
pub fn run_reloading(
    mut read: impl FnMut() -> anyhow::Result<Settings>,
    announce: impl FnOnce(&Running),
) -> anyhow::Result<()> {
    build_runtime()?.block_on(async {
        let mut termination = pin!(listen_for_termination()?);
        let mut hang_ups = listen_for_hang_up()?;
        let mut watcher = FileWatcher::default();
        let (running, files) = file::record_reads(|| start(read()?));
        watcher.set(files);
        let mut running = running?;
        announce(&running);
        let mut ticks = tokio::time::interval(limits::WATCH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut termination => return running.stop_after(Ok(())),
                failure = running.next_failure() => return running.stop_after(Err(failure)),
                _ = hang_ups.recv() => {}
                _ = ticks.tick() => if !watcher.is_changed() {
                    continue;
                }
            }
            // The files of a failed attempt are watched too, because a change of any of them may fix it.
            let (result, files) = file::record_reads(|| running.reload(catch_panic_in(&mut read)?));
            watcher.set(files);
            running.shared.count_reload(result.is_ok());
            log_reload(&result);
        }
    })
}

fn log_reload(result: &anyhow::Result<()>) {
    match result {
        Ok(()) => tracing::info!("the configuration was reloaded and is active"),
        Err(error) => tracing::error!(
            "cannot use the new configuration, the previous one stays active: {error:#}"
        ),
    }
}

fn build_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}

/// Starts a proxy and returns when it accepts connections. Blocks until then (about a second, to compile the module).
///
/// # Errors
/// Addresses, certificates or a plugin that cannot be used.
pub(crate) fn start(settings: Settings) -> anyhow::Result<Running> {
    let workers = settings.workers.get();
    let is_secure = settings.certificates.is_secure();
    // Addresses first, because an address in use is the most common mistake and is found quickly.
    let listeners = listen::bind_all(&settings.addresses, workers)?;
    let overview = Arc::<Overview>::default();
    let admin_listeners = monitoring::open_listeners(&settings.config.monitoring)?;
    let admin = AdminServer::start(admin_listeners, &overview)?;
    let addresses = listen::local_addresses(&listeners)?;
    let shared = Arc::new(ProxyShared::prepare(settings)?);
    let shutdown = Shutdown::default();
    let (ready_sender, ready) = std_channel::channel();
    let (failure_sender, failures) = mpsc::unbounded_channel();
    let mut running = Running {
        addresses,
        is_secure,
        shared: Arc::clone(&shared),
        commands: Vec::new(),
        shutdown: shutdown.clone(),
        threads: Vec::new(),
        failures,
        overview,
        _admin: admin,
    };
    for listeners in listeners {
        let (sender, commands) = mpsc::unbounded_channel();
        running.commands.push(sender);
        running.start_worker(WorkerStart {
            commands,
            listeners,
            shared: Arc::clone(&shared),
            shutdown: shutdown.clone(),
            ready: ready_sender.clone(),
            failures: failure_sender.clone(),
        })?;
    }
    drop(ready_sender);
    for _ in 0..workers {
        let result = ready.recv();
        result.context("a worker ended before it was ready")??;
    }
    running.overview.set_active(shared);
    running.overview.set_stage(Stage::Serving);
    Ok(running)
}

/// A running proxy. Dropping it stops it.
pub struct Running {
    addresses: Vec<SocketAddr>,
    is_secure: bool,
    /// The active configuration, and what else the workers share.
    shared: Arc<ProxyShared>,
    /// Sends commands to the workers.
    commands: Vec<mpsc::UnboundedSender<WorkerCommand>>,
    shutdown: Shutdown,
    threads: Vec<JoinHandle<()>>,
    failures: mpsc::UnboundedReceiver<anyhow::Error>,
    /// The state of the process, as the admin listeners see it.
    overview: Arc<Overview>,
    _admin: AdminServer,
}

impl Running {
    /// Returns the addresses of the listeners as URLs, with the ports that the system chose.
    pub fn urls(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        let addresses = self.addresses.iter();
        let urls: Vec<String> = addresses
            .map(|address| format!("{scheme}://{address}"))
            .collect();
        urls.join(", ")
    }

    /// Completes when a worker ends unexpectedly. Cancel safe.
    pub(crate) async fn next_failure(&mut self) -> anyhow::Error {
        let failure = self.failures.recv().await;
        failure.unwrap_or_else(|| anyhow!("all workers ended"))
    }

    /// Stops accepting connections, gives requests in progress up to ten seconds to finish, closes tunnels and returns.
    pub(crate) fn stop(mut self) {
        self.shut_down();
    }

    fn stop_after(self, result: anyhow::Result<()>) -> anyhow::Result<()> {
        match &result {
            Ok(()) => tracing::info!("stopping: waiting for requests in progress"),
            Err(error) => tracing::error!("stopping after an error: {error:#}"),
        }
        self.stop();
        result
    }

    fn start_worker(&mut self, start: WorkerStart) -> anyhow::Result<()> {
        let name = format!("worker-{}", self.threads.len());
        let thread = std::thread::Builder::new().name(name);
        let thread = thread.spawn(move || worker::run(start));
        self.threads
            .push(thread.context("cannot start a worker thread")?);
        Ok(())
    }

    fn shut_down(&mut self) {
        self.overview.set_stage(Stage::Stopping);
        self.shutdown.trigger();
        for thread in self.threads.drain(..) {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shut_down();
    }
}
