//! The counts and measurements of the proxy.
//!
//! Counting must cost a request next to nothing: each worker has its own atomic counters, a route's counters are found once when
//! the configuration is read, and nothing is formatted before a monitoring system asks. `table::TABLE` lists every metric.

mod decisions;
mod histogram;
mod outgoing;
mod readings;
mod render;
mod route;
mod shards;
mod table;
mod worker;

pub(crate) use histogram::{Histogram, HistogramReading};
pub(crate) use outgoing::OutgoingMetrics;
pub(crate) use readings::{CertificateReading, ConfigurationReading, PluginReading, Readings};
pub(crate) use render::{TextFormat, render};
pub(crate) use route::RouteMetrics;
pub use table::render_reference;
pub(crate) use worker::{WebsocketEnd, WorkerMetrics};

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use route::RouteReading;
use shards::Shards;
use worker::WorkerReading;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    /// Adds a number.
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// Returns the number.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of a process. A reload keeps them.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    routes: Mutex<BTreeMap<String, Shards<RouteMetrics>>>,
    workers: Mutex<Shards<WorkerMetrics>>,
    /// Reloads whose configuration became active.
    pub(crate) successful_reloads: Counter,
    /// Reloads after which the previous configuration stayed active.
    pub(crate) failed_reloads: Counter,
    /// Whether the last reload failed.
    pub(crate) has_failed_reload: AtomicBool,
}

impl Metrics {
    /// Creates the counters of one worker for the route of this name. They count as long as the result lives, and what they
    /// counted is kept for as long as a configuration has a route of the name.
    pub(crate) fn add_route(&self, name: &str) -> Arc<RouteMetrics> {
        let mut routes = lock(&self.routes);
        routes.entry(name.to_owned()).or_default().add()
    }

    /// Creates the counters of one worker.
    pub(crate) fn add_worker(&self) -> Arc<WorkerMetrics> {
        lock(&self.workers).add()
    }

    /// Forgets the routes that no configuration has any more.
    pub(crate) fn forget_unused_routes(&self) {
        lock(&self.routes).retain(|_, shards| shards.is_used());
    }

    /// Returns the sums of all routes that had a request, by name.
    pub(crate) fn read_routes(&self) -> Vec<(String, RouteReading)> {
        self.forget_unused_routes();
        let mut routes = lock(&self.routes);
        let readings = routes
            .iter_mut()
            .map(|(name, shards)| (name.clone(), shards.read()));
        readings.filter(|(_, reading)| reading.is_used()).collect()
    }

    /// Returns the sums of all workers.
    pub(crate) fn read_workers(&self) -> WorkerReading {
        lock(&self.workers).read()
    }
}

/// Nothing panics while one of these locks is held, and each value is consistent at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
