//! One worker: a thread with its own runtime, listeners, plugin instance and upstream connections.

mod accept;
mod accept_queue;
mod connection_era;
mod exit_guard;

use std::rc::Rc;
use std::sync::{Arc, mpsc as std_channel};
use std::time::Duration;

use anyhow::Context as _;
use jetway_core::limits::CLIENT_CONNECTIONS;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::LocalSet;

use super::listen::Sockets;
use super::reload::{self, WorkerCommand};
use super::vital_tasks::VitalTasks;
use crate::access;
use crate::limits::{self, Hit};
use crate::proxy::{Generations, Proxy, ProxyShared};
use crate::shutdown::Shutdown;
use accept::{Acceptor, accept};
use accept_queue::Listener;
use exit_guard::ExitGuard;

/// The parts that a worker is started with.
pub(super) struct WorkerStart {
    pub(super) sockets: Sockets,
    pub(super) shared: Arc<ProxyShared>,
    pub(super) shutdown: Shutdown,
    pub(super) commands: mpsc::UnboundedReceiver<WorkerCommand>,
    pub(super) ready: std_channel::Sender<anyhow::Result<()>>,
    pub(super) failures: mpsc::UnboundedSender<anyhow::Error>,
    /// Dropped when the connections that were open at the begin of a drain have ended.
    pub(super) undrained: std_channel::Sender<()>,
}

/// Runs a worker on the current thread until the proxy shuts down.
pub(super) fn run(start: WorkerStart) {
    let guard = ExitGuard::new(start.shutdown.clone(), start.failures);
    let ready = start.ready;
    match Worker::prepare(start.sockets, &start.shared, &start.shutdown) {
        Ok(worker) => {
            if ready.send(Ok(())).is_ok() {
                drop(ready);
                worker.serve(start.commands, start.undrained, &guard);
            }
        }
        // There is no receiver any more when another worker failed first.
        Err(error) => drop(ready.send(Err(error))),
    }
    guard.disarm();
}

struct Worker {
    runtime: tokio::runtime::Runtime,
    tasks: LocalSet,
    generations: Rc<Generations>,
    listeners: Vec<Listener>,
}

impl Worker {
    fn prepare(
        sockets: Sockets,
        shared: &ProxyShared,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let runtime = super::build_runtime().context("cannot start a runtime")?;
        let tasks = LocalSet::new();
        let (generations, listeners) = tasks.block_on(&runtime, async {
            let proxy = Proxy::build(shared, shutdown.clone())?;
            let listeners = listen_on(sockets)?;
            anyhow::Ok((Generations::new(proxy, shutdown.clone()), listeners))
        })?;
        Ok(Self {
            runtime,
            tasks,
            generations,
            listeners,
        })
    }

    fn serve(
        self,
        commands: mpsc::UnboundedReceiver<WorkerCommand>,
        undrained: std_channel::Sender<()>,
        guard: &ExitGuard,
    ) {
        let Self {
            runtime,
            tasks,
            generations,
            listeners,
        } = self;
        let permits = Permits::new(listeners.len());
        tasks.block_on(&runtime, async {
            let acceptor = Acceptor {
                generations: Rc::clone(&generations),
                permits: Arc::clone(&permits.semaphore),
                connections: Rc::default(),
            };
            let accepting = spawn_accepting(listeners, &acceptor);
            let maintenance = spawn_maintenance(&generations, commands);
            let drain = drain(acceptor, undrained);
            serve_until_stopped(drain, (accepting, maintenance), guard).await;
            permits
                .wait_for_return(generations.shutdown.time_left())
                .await;
            generations.shut_down().await;
        });
        // Connections that did not end in time end here.
        drop(tasks);
        drop(generations);
        access::sum_up_all();
        // A name lookup may hang in a thread of its own, which must not delay the end.
        runtime.shutdown_timeout(Duration::ZERO);
    }
}

fn listen_on(sockets: Sockets) -> std::io::Result<Vec<Listener>> {
    let is_inherited = sockets.are_inherited;
    let listen = |socket| {
        let socket = tokio::net::TcpListener::from_std(socket)?;
        Ok(Listener {
            socket,
            is_inherited,
        })
    };
    sockets.listeners.into_iter().map(listen).collect()
}

/// Starts the accept loops of a worker.
fn spawn_accepting(listeners: Vec<Listener>, acceptor: &Acceptor) -> VitalTasks {
    let mut tasks = VitalTasks::default();
    for listener in listeners {
        let name = match listener.socket.local_addr() {
            Ok(address) => format!("accepting connections at {address}"),
            Err(_) => "accepting connections".to_owned(),
        };
        tasks.spawn(name, accept(acceptor.clone(), listener));
    }
    tasks
}

/// Waits for the begin of a drain, reports when the connections of before have ended, and completes when the proxy stops.
async fn drain(acceptor: Acceptor, undrained: std_channel::Sender<()>) {
    let shutdown = &acceptor.generations.shutdown;
    shutdown.draining().await;
    tokio::select! {
        () = acceptor.connections.renew() => {}
        () = shutdown.triggered() => {}
    }
    drop(undrained);
    shutdown.triggered().await;
}

/// Runs the tasks of a worker until the proxy stops, or one of them ends.
async fn serve_until_stopped(
    drain: impl Future<Output = ()>,
    (mut accepting, mut maintenance): (VitalTasks, VitalTasks),
    guard: &ExitGuard,
) {
    tokio::select! {
        // The accept loops end with the drain, which is no failure.
        biased;
        () = drain => {}
        failure = accepting.next_failure() => guard.report(&failure),
        failure = maintenance.next_failure() => guard.report(&failure),
    }
    // A connection that was accepted gets its task.
    let _ = tokio::time::timeout(limits::LAST_REQUESTS, accepting.wait()).await;
    accepting.shutdown().await;
    maintenance.shutdown().await;
}

/// The permits of a worker's connections: those of all slots, and one in each accept loop that has no slot yet and may wait for
/// an eviction. So the loops never wait for a permit.
struct Permits {
    semaphore: Arc<Semaphore>,
    count: u32,
}

impl Permits {
    fn new(listeners: usize) -> Self {
        let waiting = u32::try_from(listeners).unwrap_or(u32::MAX);
        let count = CLIENT_CONNECTIONS.saturating_add(waiting);
        Self {
            semaphore: Arc::new(Semaphore::new(count as usize)),
            count,
        }
    }

    /// Waits until all connections and tunnels have ended, each of which holds one permit.
    async fn wait_for_return(&self, limit: Duration) {
        let ended = tokio::time::timeout(limit, self.semaphore.acquire_many(self.count)).await;
        if ended.is_err() {
            tracing::warn!("closing connections that did not end in the drain time");
        }
    }
}

/// Starts the tasks of a worker beside its accept loops.
fn spawn_maintenance(
    generations: &Rc<Generations>,
    commands: mpsc::UnboundedReceiver<WorkerCommand>,
) -> VitalTasks {
    let mut tasks = VitalTasks::default();
    let generations = || Rc::clone(generations);
    tasks.spawn("closing idle connections", sweep(generations()));
    tasks.spawn("ending old configurations", retire(generations()));
    tasks.spawn(
        "activating configurations",
        reload::run_commands(generations(), commands),
    );
    tasks.spawn("summing up refusals", sum_up_refusals());
    tasks.spawn("summing up limits that were hit", log_hits());
    tasks
}

/// Closes idle upstream connections from time to time, and whenever a connection waits for a descriptor.
async fn sweep(generations: Rc<Generations>) {
    let descriptors = generations.current().upstream_descriptors.clone();
    let mut awaited = descriptors.awaited();
    loop {
        tokio::select! {
            () = tokio::time::sleep(limits::POOL_SWEEP) => {}
            () = awaited => {}
        }
        // Connections that wait from here on are noticed after the pause.
        awaited = descriptors.awaited();
        generations.sweep();
        tokio::time::sleep(limits::POOL_SWEEP_PAUSE).await;
    }
}

/// Logs the hits of limits. The counters are those of the process, so that each hit is logged by one worker.
async fn log_hits() {
    loop {
        tokio::time::sleep(limits::HIT_SUMMARY).await;
        Hit::log_sums();
    }
}

async fn retire(generations: Rc<Generations>) {
    loop {
        tokio::time::sleep(limits::RETIRE).await;
        generations.retire().await;
    }
}

async fn sum_up_refusals() {
    loop {
        tokio::time::sleep(limits::LOG_SUMMARY).await;
        access::sum_up();
    }
}
