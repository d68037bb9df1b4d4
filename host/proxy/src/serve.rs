//! Starts and stops the proxy: listeners, workers, signals and reloads.

mod file_watcher;
mod inherited;
mod listen;
mod monitoring;
mod reload;
mod service_manager;
#[cfg(test)]
mod tests;
mod vital_tasks;
mod worker;

pub use crate::proxy::{ProcessFacts, Settings};
pub use listen::{parse_addresses, try_address};

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, mpsc as std_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use jetway_config_file::file;
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::admin::{AdminServer, Overview, Stage};
use crate::catch_panic::catch_panic_in;
use crate::limits;
use crate::proxy::ProxyShared;
use crate::shutdown::{Shutdown, listen_for_hang_up, listen_for_termination};
use file_watcher::FileWatcher;
use inherited::InheritedSocket;
use listen::Sockets;
use reload::WorkerCommand;
use service_manager::ServiceManager;
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

/// Serves as [`run`] does, and reads the settings again at SIGHUP and when a file that they were read from has changed. Takes
/// the sockets that the service manager passes on, and reports to it.
///
/// # Errors
/// The same as of [`run`]. Settings of a reload that cannot be used are logged, and the previous ones stay active.
pub fn run_reloading(
    mut read: impl FnMut() -> anyhow::Result<Settings>,
    announce: impl FnOnce(&Running),
) -> anyhow::Result<()> {
    build_runtime()?.block_on(async {
        let termination = listen_for_termination()?;
        let mut triggers = ReloadTriggers::new()?;
        let service = ServiceManager::from_environment();
        let sockets = inherited::take()?;
        let (running, files) = file::record_reads(|| start_on(sockets, read()?));
        triggers.watcher.set(files);
        let mut running = running?;
        announce(&running);
        service.ready(&running.shared.describe_state());
        let result = tokio::select! {
            () = termination => Ok(()),
            failure = reload_when_triggered(&mut running, read, triggers, &service) => Err(failure),
        };
        service.stopping();
        running.stop_after(result)
    })
}

/// The events at which the settings are read again.
struct ReloadTriggers {
    hang_ups: Signal,
    ticks: Interval,
    watcher: FileWatcher,
}

impl ReloadTriggers {
    fn new() -> anyhow::Result<Self> {
        let mut ticks = interval(limits::WATCH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            hang_ups: listen_for_hang_up()?,
            ticks,
            watcher: FileWatcher::default(),
        })
    }

    /// Completes at SIGHUP and when a file has changed. Cancel safe.
    async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.hang_ups.recv() => return,
                _ = self.ticks.tick() => if self.watcher.is_changed() {
                    return;
                }
            }
        }
    }
}

/// Reads the settings again at each trigger; completes when a worker has ended unexpectedly.
async fn reload_when_triggered(
    running: &mut Running,
    mut read: impl FnMut() -> anyhow::Result<Settings>,
    mut triggers: ReloadTriggers,
    service: &ServiceManager,
) -> anyhow::Error {
    loop {
        let shared = Arc::clone(&running.shared);
        let reports = service.report(move || shared.describe_state(), running.commands.clone());
        tokio::select! {
            failure = running.next_failure() => return failure,
            () = triggers.next() => {}
        }
        drop(reports);
        service.reloading();
        // The files of a failed attempt are watched too, because a change of any of them may fix it.
        let (result, files) = file::record_reads(|| running.reload(catch_panic_in(&mut read)?));
        triggers.watcher.set(files);
        running.shared.count_reload(result.is_ok());
        log_reload(&result);
        service.ready(&running.shared.describe_state());
    }
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
    start_on(Vec::new(), settings)
}

/// Starts a proxy as [`start`] does, on the sockets that the service manager passed on, if there are any.
fn start_on(sockets: Vec<InheritedSocket>, settings: Settings) -> anyhow::Result<Running> {
    let workers = settings.workers.get();
    let is_secure = settings.certificates.is_secure();
    let drain_time = settings.drain_time;
    // Addresses first, because an address in use is the most common mistake and is found quickly.
    let sockets = listen::open_all(sockets, &settings.addresses, workers)?;
    let overview = Arc::<Overview>::default();
    let admin_listeners = monitoring::open_listeners(&settings.config.monitoring)?;
    let admin = AdminServer::start(admin_listeners, &overview)?;
    let addresses = listen::local_addresses(&sockets)?;
    let shared = Arc::new(ProxyShared::prepare(settings)?);
    let (failure_sender, failures) = mpsc::unbounded_channel();
    let (undrained, drained) = std_channel::channel();
    let mut running = Running {
        addresses,
        is_secure,
        shared,
        commands: Vec::new(),
        shutdown: Shutdown::default(),
        threads: Vec::new(),
        failures,
        overview,
        _admin: admin,
        drain_time,
        drained,
    };
    running.start_workers(sockets, &failure_sender, &undrained)?;
    running.overview.set_active(Arc::clone(&running.shared));
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
    /// How long requests in progress may take when the proxy stops.
    drain_time: Duration,
    /// Disconnected when no worker has a connection of before the drain.
    drained: std_channel::Receiver<()>,
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

    /// Drains connections and stops.
    ///
    /// Connections are accepted until those of before have ended, or until the end of the drain time is near, because
    /// the next process may not start before this one has ended. Then the proxy closes WebSockets and stops when the last
    /// request has ended, at the latest after the drain time.
    pub(crate) fn stop(mut self) {
        let ending = limits::LAST_REQUESTS.min(self.drain_time / 2);
        self.overview.set_stage(Stage::Stopping);
        self.shutdown.drain(Instant::now() + self.drain_time);
        // The workers send nothing, and drop their ends of the channel.
        let _ = self.drained.recv_timeout(self.drain_time - ending);
        self.shutdown.stop();
        self.join_workers();
    }

    fn stop_after(self, result: anyhow::Result<()>) -> anyhow::Result<()> {
        match &result {
            Ok(()) => {
                tracing::info!("stopping: waiting for requests in progress");
                self.stop();
            }
            Err(error) => {
                tracing::error!("stopping after an error: {error:#}");
                drop(self);
            }
        }
        result
    }

    /// Starts a worker for each set of sockets, and waits until all of them are ready.
    fn start_workers(
        &mut self,
        sockets: Vec<Sockets>,
        failures: &mpsc::UnboundedSender<anyhow::Error>,
        undrained: &std_channel::Sender<()>,
    ) -> anyhow::Result<()> {
        let workers = sockets.len();
        let (ready_sender, ready) = std_channel::channel();
        for sockets in sockets {
            let (sender, commands) = mpsc::unbounded_channel();
            self.commands.push(sender);
            self.start_worker(WorkerStart {
                commands,
                sockets,
                shared: Arc::clone(&self.shared),
                shutdown: self.shutdown.clone(),
                ready: ready_sender.clone(),
                failures: failures.clone(),
                undrained: undrained.clone(),
            })?;
        }
        drop(ready_sender);
        for _ in 0..workers {
            let result = ready.recv();
            result.context("a worker ended before it was ready")??;
        }
        Ok(())
    }

    fn start_worker(&mut self, start: WorkerStart) -> anyhow::Result<()> {
        let name = format!("worker-{}", self.threads.len());
        let thread = std::thread::Builder::new().name(name);
        let thread = thread.spawn(move || worker::run(start));
        self.threads
            .push(thread.context("cannot start a worker thread")?);
        Ok(())
    }

    fn join_workers(&mut self) {
        for thread in self.threads.drain(..) {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Stops without draining: requests in progress have [`limits::GRACE`] to end.
impl Drop for Running {
    fn drop(&mut self) {
        self.overview.set_stage(Stage::Stopping);
        self.shutdown.trigger();
        self.join_workers();
    }
}
