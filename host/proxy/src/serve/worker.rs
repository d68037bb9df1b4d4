//! One worker: a thread with its own runtime, listeners, plugin instance and upstream connections.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::{Arc, mpsc as ready_channel};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use jetway_core::limits::CLIENT_CONNECTIONS;
use rustix::io::Errno;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::LocalSet;

use super::common::Common;
use super::reload::{self, Order};
use super::vital::VitalTasks;
use super::{Generations, Proxy, Stop};
use crate::caught::{Panicked, caught};
use crate::limits::{self, Hit};
use crate::{access, connection, fault};

/// What a worker is started with.
pub(super) struct Start {
    pub(super) listeners: Vec<TcpListener>,
    pub(super) common: Arc<Common>,
    pub(super) stop: Stop,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) ready: ready_channel::Sender<anyhow::Result<()>>,
    pub(super) failures: mpsc::UnboundedSender<anyhow::Error>,
}

/// Runs a worker until the order to stop; the body of its thread.
pub(super) fn run(start: Start) {
    let obituary = Obituary {
        stop: start.stop.clone(),
        failures: start.failures,
        orderly: false,
    };
    let ready = start.ready;
    match prepare(start.listeners, &start.common, &start.stop) {
        Ok(worker) => {
            if ready.send(Ok(())).is_ok() {
                drop(ready);
                worker.serve(start.orders, &obituary);
            }
        }
        // Nobody waits any more when another worker failed first.
        Err(error) => drop(ready.send(Err(error))),
    }
    obituary.rest();
}

struct Worker {
    runtime: tokio::runtime::Runtime,
    tasks: LocalSet,
    generations: Rc<Generations>,
    listeners: Vec<tokio::net::TcpListener>,
}

fn prepare(listeners: Vec<TcpListener>, common: &Common, stop: &Stop) -> anyhow::Result<Worker> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let tasks = LocalSet::new();
    let (generations, listeners) = tasks.block_on(&runtime, async {
        let proxy = Proxy::build(common, stop.clone())?;
        let listeners = listeners
            .into_iter()
            .map(tokio::net::TcpListener::from_std)
            .collect::<std::io::Result<_>>()?;
        anyhow::Ok((Generations::new(proxy, stop.clone()), listeners))
    })?;
    Ok(Worker {
        runtime,
        tasks,
        generations,
        listeners,
    })
}

impl Worker {
    fn serve(self, orders: mpsc::UnboundedReceiver<Order>, obituary: &Obituary) {
        let Self {
            runtime,
            tasks,
            generations,
            listeners,
        } = self;
        tasks.block_on(
            &runtime,
            accept_until_stopped(&generations, listeners, orders, obituary),
        );
        // Connections that outlived their grace end here.
        drop(tasks);
        drop(generations);
        access::sum_up_all();
        // A name lookup may hang in a thread of its own, which must not hold up the end.
        runtime.shutdown_timeout(Duration::ZERO);
    }
}

async fn accept_until_stopped(
    generations: &Rc<Generations>,
    listeners: Vec<tokio::net::TcpListener>,
    orders: mpsc::UnboundedReceiver<Order>,
    obituary: &Obituary,
) {
    let most = most_permits(listeners.len());
    let permits = Arc::new(Semaphore::new(most as usize));
    let mut vital = VitalTasks::default();
    for listener in listeners {
        let name = match listener.local_addr() {
            Ok(address) => format!("accepting connections at {address}"),
            Err(_) => "accepting connections".to_owned(),
        };
        vital.spawn(
            name,
            accept(Rc::clone(generations), listener, Arc::clone(&permits)),
        );
    }
    vital.spawn("closing idle connections", sweep(Rc::clone(generations)));
    vital.spawn("ending old configurations", retire(Rc::clone(generations)));
    vital.spawn(
        "taking up configurations",
        reload::carry_out(Rc::clone(generations), orders),
    );
    vital.spawn("summing up refusals", sum_up_refusals());
    vital.spawn("summing up limits that were hit", log_hits());
    tokio::select! {
        () = generations.stop.ordered() => {}
        failure = vital.failed() => obituary.tell(&failure),
    }
    vital.shutdown().await;
    // Each connection and tunnel holds one permit: all of them back means that all have ended.
    let ended = tokio::time::timeout(limits::GRACE, permits.acquire_many(most)).await;
    if ended.is_err() {
        tracing::warn!(
            "closing connections that did not end in {} s",
            limits::GRACE.as_secs()
        );
    }
    generations.shutdown().await;
}

/// Returns how many connections a worker can have at most: those of all slots, and one in each accept loop that has no slot
/// yet and may wait for an eviction. So the loops never wait for a permit.
fn most_permits(listeners: usize) -> u32 {
    let waiting = u32::try_from(listeners).unwrap_or(u32::MAX);
    CLIENT_CONNECTIONS.saturating_add(waiting)
}

async fn accept(
    generations: Rc<Generations>,
    listener: tokio::net::TcpListener,
    permits: Arc<Semaphore>,
) {
    loop {
        let accepted = listener.accept().await;
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let proxy = generations.current();
        match accepted {
            Ok((stream, peer)) => {
                fault::point("accept", peer);
                let slot = proxy.slots.acquire(proxy.client_of(peer), permit).await;
                // A refused connection is closed before it costs a TLS handshake.
                if let Some(slot) = slot {
                    let serving = connection::serve(Rc::clone(&generations), stream, peer, slot);
                    tokio::task::spawn_local(async move {
                        if caught(serving).await.is_err() {
                            tracing::error!(%peer, "a connection was ended by a defect (panic)");
                        }
                    });
                }
            }
            Err(error) => {
                if is_out_of_files(&error) {
                    Hit::OpenFiles.record(&error);
                    proxy.slots.evict_idle();
                } else {
                    tracing::warn!(%error, "cannot accept a connection");
                }
                drop((proxy, permit));
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Returns whether the process or the machine has no free descriptor.
fn is_out_of_files(error: &std::io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

async fn sweep(generations: Rc<Generations>) {
    let descriptors = generations.current().upstream_descriptors.clone();
    let mut awaited = descriptors.awaited();
    loop {
        tokio::select! {
            () = tokio::time::sleep(limits::POOL_SWEEP) => {}
            () = awaited => {}
        }
        // What is asked for from here on is seen after the pause.
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

/// Tells the main thread when a worker ends without having been told to, by a panic for example.
struct Obituary {
    stop: Stop,
    failures: mpsc::UnboundedSender<anyhow::Error>,
    orderly: bool,
}

impl Obituary {
    /// Tells why this worker, and with it the process, is about to end.
    fn tell(&self, failure: &anyhow::Error) {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("a worker");
        // The main thread may be about to end, too.
        let _ = self.failures.send(anyhow!("{name}: {failure:#}"));
        self.stop.order();
    }

    fn rest(mut self) {
        self.orderly = true;
    }
}

impl Drop for Obituary {
    fn drop(&mut self) {
        if !self.orderly {
            self.tell(&Panicked.into());
        }
    }
}
