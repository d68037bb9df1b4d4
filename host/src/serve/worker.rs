//! One worker: a thread with its own runtime, listeners, plugin instance and upstream connections.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::{Arc, mpsc as ready_channel};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};

use super::common::Common;
use super::{Proxy, Stop};
use crate::{connection, limits};

/// What a worker is started with.
pub(super) struct Start {
    pub(super) listeners: Vec<TcpListener>,
    pub(super) common: Arc<Common>,
    pub(super) stop: Stop,
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
                worker.serve();
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
    proxy: Rc<Proxy>,
    listeners: Vec<tokio::net::TcpListener>,
}

fn prepare(listeners: Vec<TcpListener>, common: &Common, stop: &Stop) -> anyhow::Result<Worker> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let tasks = LocalSet::new();
    let (proxy, listeners) = tasks.block_on(&runtime, async {
        let proxy = Proxy::build(common, stop.clone())?;
        let listeners = listeners
            .into_iter()
            .map(tokio::net::TcpListener::from_std)
            .collect::<std::io::Result<_>>()?;
        anyhow::Ok((proxy, listeners))
    })?;
    Ok(Worker {
        runtime,
        tasks,
        proxy,
        listeners,
    })
}

impl Worker {
    fn serve(self) {
        let Self {
            runtime,
            tasks,
            proxy,
            listeners,
        } = self;
        tasks.block_on(&runtime, accept_until_stopped(&proxy, listeners));
        // Connections that outlived their grace end here.
        drop(tasks);
        drop(proxy);
        // A name lookup may hang in a thread of its own, which must not hold up the end.
        runtime.shutdown_timeout(Duration::ZERO);
    }
}

async fn accept_until_stopped(proxy: &Rc<Proxy>, listeners: Vec<tokio::net::TcpListener>) {
    let permits = Arc::new(Semaphore::new(limits::WORKER_CONNECTIONS as usize));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn_local(accept(Rc::clone(proxy), listener, Arc::clone(&permits)));
    }
    accepting.spawn_local(sweep(Rc::clone(proxy)));
    proxy.stop.ordered().await;
    accepting.shutdown().await;
    // Each connection and tunnel holds one permit: all of them back means that all have ended.
    let ended = tokio::time::timeout(
        limits::GRACE,
        permits.acquire_many(limits::WORKER_CONNECTIONS),
    )
    .await;
    if ended.is_err() {
        tracing::warn!(
            "closing connections that did not end in {} s",
            limits::GRACE.as_secs()
        );
    }
    proxy.plugin.shutdown().await;
}

async fn accept(proxy: Rc<Proxy>, listener: tokio::net::TcpListener, permits: Arc<Semaphore>) {
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::task::spawn_local(connection::serve(
                    Rc::clone(&proxy),
                    stream,
                    peer,
                    permit,
                ));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn sweep(proxy: Rc<Proxy>) {
    loop {
        tokio::time::sleep(limits::POOL_SWEEP).await;
        proxy.sweep();
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
