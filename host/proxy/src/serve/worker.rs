//! One worker: a thread with its own runtime, listeners, plugin instance and upstream connections.

mod accept;
mod exit_guard;

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::{Arc, mpsc as std_channel};
use std::time::Duration;

use anyhow::Context as _;
use jetway_core::limits::CLIENT_CONNECTIONS;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::LocalSet;

use super::reload::{self, WorkerCommand};
use super::vital_tasks::VitalTasks;
use crate::access;
use crate::limits::{self, Hit};
use crate::proxy::{Generations, Proxy, ProxyShared};
use crate::shutdown::Shutdown;
use accept::accept;
use exit_guard::ExitGuard;

/// The parts that a worker is started with.
pub(super) struct WorkerStart {
    pub(super) listeners: Vec<TcpListener>,
    pub(super) shared: Arc<ProxyShared>,
    pub(super) shutdown: Shutdown,
    pub(super) commands: mpsc::UnboundedReceiver<WorkerCommand>,
    pub(super) ready: std_channel::Sender<anyhow::Result<()>>,
    pub(super) failures: mpsc::UnboundedSender<anyhow::Error>,
}

/// Runs a worker on the current thread until the proxy shuts down.
pub(super) fn run(start: WorkerStart) {
    let guard = ExitGuard::new(start.shutdown.clone(), start.failures);
    let ready = start.ready;
    match Worker::prepare(start.listeners, &start.shared, &start.shutdown) {
        Ok(worker) => {
            if ready.send(Ok(())).is_ok() {
                drop(ready);
                worker.serve(start.commands, &guard);
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
    listeners: Vec<tokio::net::TcpListener>,
}

impl Worker {
    fn prepare(
        listeners: Vec<TcpListener>,
        shared: &ProxyShared,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let runtime = super::build_runtime().context("cannot start a runtime")?;
        let tasks = LocalSet::new();
        let (generations, listeners) = tasks.block_on(&runtime, async {
            let proxy = Proxy::build(shared, shutdown.clone())?;
            let listeners = listeners
                .into_iter()
                .map(tokio::net::TcpListener::from_std)
                .collect::<std::io::Result<_>>()?;
            anyhow::Ok((Generations::new(proxy, shutdown.clone()), listeners))
        })?;
        Ok(Self {
            runtime,
            tasks,
            generations,
            listeners,
        })
    }

    fn serve(self, commands: mpsc::UnboundedReceiver<WorkerCommand>, guard: &ExitGuard) {
        let Self {
            runtime,
            tasks,
            generations,
            listeners,
        } = self;
        tasks.block_on(
            &runtime,
            serve_until_shutdown(&generations, listeners, commands, guard),
        );
        // Connections that did not end in time end here.
        drop(tasks);
        drop(generations);
        access::sum_up_all();
        // A name lookup may hang in a thread of its own, which must not delay the end.
        runtime.shutdown_timeout(Duration::ZERO);
    }
}

async fn serve_until_shutdown(
    generations: &Rc<Generations>,
    listeners: Vec<tokio::net::TcpListener>,
    commands: mpsc::UnboundedReceiver<WorkerCommand>,
    guard: &ExitGuard,
) {
    let max_permits = max_permits(listeners.len());
    let permits = Arc::new(Semaphore::new(max_permits as usize));
    let mut tasks = VitalTasks::default();
    for listener in listeners {
        let name = match listener.local_addr() {
            Ok(address) => format!("accepting connections at {address}"),
            Err(_) => "accepting connections".to_owned(),
        };
        let accepting = accept(Rc::clone(generations), listener, Arc::clone(&permits));
        tasks.spawn(name, accepting);
    }
    spawn_maintenance(&mut tasks, generations, commands);
    tokio::select! {
        () = generations.shutdown.triggered() => {}
        failure = tasks.next_failure() => guard.report(&failure),
    }
    tasks.shutdown().await;
    // Each connection and tunnel holds one permit. All of them have ended when all permits are free.
    let ended = tokio::time::timeout(limits::GRACE, permits.acquire_many(max_permits)).await;
    if ended.is_err() {
        tracing::warn!(
            "closing connections that did not end within {} s",
            limits::GRACE.as_secs()
        );
    }
    generations.shut_down().await;
}

/// Starts the tasks of a worker beside its accept loops.
fn spawn_maintenance(
    tasks: &mut VitalTasks,
    generations: &Rc<Generations>,
    commands: mpsc::UnboundedReceiver<WorkerCommand>,
) {
    let generations = || Rc::clone(generations);
    tasks.spawn("closing idle connections", sweep(generations()));
    tasks.spawn("ending old configurations", retire(generations()));
    tasks.spawn(
        "activating configurations",
        reload::run_commands(generations(), commands),
    );
    tasks.spawn("summing up refusals", sum_up_refusals());
    tasks.spawn("summing up limits that were hit", log_hits());
}

/// Returns how many connections a worker can have at most: those of all slots, and one in each accept loop that has no slot
/// yet and may wait for an eviction. So the loops never wait for a permit.
fn max_permits(listeners: usize) -> u32 {
    let waiting = u32::try_from(listeners).unwrap_or(u32::MAX);
    CLIENT_CONNECTIONS.saturating_add(waiting)
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
