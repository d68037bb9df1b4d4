//! One worker: a thread with its own runtime, listeners, plugin instance and upstream connections.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::{Arc, mpsc as ready_channel};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use jetway_core::capacity::CLIENT_CONNECTIONS;
use rustix::io::Errno;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};

use super::common::Common;
use super::reload::{self, Order};
use super::{Generations, Proxy, Stop};
use crate::connection;
use crate::limits::{self, Hit};

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
                worker.serve(start.orders);
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
    fn serve(self, orders: mpsc::UnboundedReceiver<Order>) {
        let Self {
            runtime,
            tasks,
            generations,
            listeners,
        } = self;
        tasks.block_on(
            &runtime,
            accept_until_stopped(&generations, listeners, orders),
        );
        // Connections that outlived their grace end here.
        drop(tasks);
        drop(generations);
        // A name lookup may hang in a thread of its own, which must not hold up the end.
        runtime.shutdown_timeout(Duration::ZERO);
    }
}

async fn accept_until_stopped(
    generations: &Rc<Generations>,
    listeners: Vec<tokio::net::TcpListener>,
    orders: mpsc::UnboundedReceiver<Order>,
) {
    let permits = Arc::new(Semaphore::new(CLIENT_CONNECTIONS as usize));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn_local(accept(
            Rc::clone(generations),
            listener,
            Arc::clone(&permits),
        ));
    }
    accepting.spawn_local(sweep(Rc::clone(generations)));
    accepting.spawn_local(log_hits());
    accepting.spawn_local(retire(Rc::clone(generations)));
    accepting.spawn_local(reload::carry_out(Rc::clone(generations), orders));
    generations.stop.ordered().await;
    accepting.shutdown().await;
    // Each connection and tunnel holds one permit: all of them back means that all have ended.
    let ended = tokio::time::timeout(limits::GRACE, permits.acquire_many(CLIENT_CONNECTIONS)).await;
    if ended.is_err() {
        tracing::warn!(
            "closing connections that did not end in {} s",
            limits::GRACE.as_secs()
        );
    }
    generations.shutdown().await;
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
                let slot = proxy.slots.acquire(proxy.client_of(peer), permit).await;
                // A refused connection is closed before it costs a TLS handshake.
                if let Some(slot) = slot {
                    let generations = Rc::clone(&generations);
                    tokio::task::spawn_local(connection::serve(generations, stream, peer, slot));
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
    loop {
        tokio::time::sleep(limits::POOL_SWEEP).await;
        generations.sweep();
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

/// Tells the main thread when a worker ends without having been told to, by a panic for example.
struct Obituary {
    stop: Stop,
    failures: mpsc::UnboundedSender<anyhow::Error>,
    orderly: bool,
}

impl Obituary {
    fn rest(mut self) {
        self.orderly = true;
    }
}

impl Drop for Obituary {
    fn drop(&mut self) {
        if !self.orderly {
            let name = std::thread::current()
                .name()
                .unwrap_or("a worker")
                .to_owned();
            let _ = self.failures.send(anyhow!("{name} ended unexpectedly"));
            self.stop.order();
        }
    }
}
