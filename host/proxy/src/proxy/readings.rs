//! Collects what the metrics and the status show.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use jetway_core::hex::encode_hex;
use sha2::{Digest as _, Sha256};

use super::ProxyShared;
use crate::limits::Hit;
use crate::metrics::{CertificateReading, ConfigurationReading, PluginReading, Readings};

/// The first digits of a digest that distinguish the configurations that an operator writes.
const SHOWN_DIGITS: usize = 12;

impl ProxyShared {
    /// Returns the values of all metrics. `is_ready` tells whether the process can serve requests, which depends on more than
    /// the active configuration.
    pub(crate) fn read_metrics(&self, is_ready: bool) -> Readings {
        let upstreams = &self.limits.upstreams;
        let (descriptors, metrics) = (&upstreams.descriptors, &upstreams.metrics);
        let provider = &self.limits.provider;
        let activity = self.data.activity.all();
        Readings {
            version: self.process.facts.version,
            is_ready,
            routes: metrics.read_routes(),
            workers: metrics.read_workers(),
            upstreams: descriptors.metrics().read(descriptors.in_use() as u64),
            provider: provider.metrics().read(provider.in_use() as u64),
            clients: self.limits.slots.usage(),
            plugin: PluginReading {
                instances: activity.instances(),
                traps: activity.traps(),
                memory_bytes: activity.memory_bytes(),
            },
            configuration: self.configuration.clone(),
            reloads: (
                metrics.successful_reloads.get(),
                metrics.failed_reloads.get(),
            ),
            has_failed_reload: metrics.has_failed_reload.load(Ordering::Relaxed),
            limits: Hit::counts(),
            dropped_log_lines: (self.process.facts.dropped_log_lines)(),
        }
    }

    /// Describes the proxy in one line, without secrets, for `systemctl status`.
    pub(crate) fn describe_state(&self) -> String {
        let ConfigurationReading { digest, routes, .. } = &self.configuration;
        let digest = digest.get(..SHOWN_DIGITS).unwrap_or(digest);
        let workers = self.limits.upstreams.metrics.read_workers();
        let websockets = workers.open_websockets();
        format!("serving configuration {digest} with {routes} routes; {websockets} open WebSockets")
    }

    /// Counts a reload, after which earlier routes may be gone.
    pub(crate) fn count_reload(&self, is_active: bool) {
        let metrics = &self.limits.upstreams.metrics;
        metrics.forget_unused_routes();
        let counter = if is_active {
            &metrics.successful_reloads
        } else {
            &metrics.failed_reloads
        };
        counter.increment();
        metrics
            .has_failed_reload
            .store(!is_active, Ordering::Relaxed);
    }
}

/// Describes a configuration that becomes active now. `file` is what the plugin gets, which has no secrets.
pub(super) fn describe_configuration(
    file: &[u8],
    routes: usize,
    certificates: Vec<CertificateReading>,
) -> ConfigurationReading {
    ConfigurationReading {
        digest: encode_hex(&Sha256::digest(file)),
        since: SystemTime::now(),
        routes,
        certificates,
    }
}
