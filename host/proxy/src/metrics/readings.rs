//! Everything that is shown at one moment.

use std::time::SystemTime;

use super::outgoing::OutgoingReading;
use super::route::RouteReading;
use super::worker::WorkerReading;

/// The values of all metrics at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Readings {
    /// The version of this program.
    pub(crate) version: &'static str,
    /// Whether the proxy can serve requests.
    pub(crate) is_ready: bool,
    /// The routes that had a request, by name.
    pub(crate) routes: Vec<(String, RouteReading)>,
    /// The sums of all workers.
    pub(crate) workers: WorkerReading,
    /// Connections to upstreams.
    pub(crate) upstreams: OutgoingReading,
    /// Connections to the identity provider.
    pub(crate) provider: OutgoingReading,
    /// Client connections that are open, and how many may be.
    pub(crate) clients: (u64, u64),
    /// The plugin's instances.
    pub(crate) plugin: PluginReading,
    /// The active configuration.
    pub(crate) configuration: ConfigurationReading,
    /// Reloads that succeeded and that failed.
    pub(crate) reloads: (u64, u64),
    /// Whether the last reload failed.
    pub(crate) has_failed_reload: bool,
    /// The number of hits of each limit, by its name.
    pub(crate) limits: Vec<(&'static str, u64)>,
    /// Log lines that could not be written.
    pub(crate) dropped_log_lines: u64,
}

/// The state of the plugin's instances.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PluginReading {
    /// Instances that exist.
    pub(crate) instances: u64,
    /// Instances that were stopped by a trap or a deadline.
    pub(crate) traps: u64,
    /// Bytes of memory of all instances.
    pub(crate) memory_bytes: u64,
}

/// The facts about a configuration.
#[derive(Clone, Debug)]
pub(crate) struct ConfigurationReading {
    /// SHA-256 of the file as JSON, without its secrets, in hexadecimal.
    pub(crate) digest: String,
    /// When it became active.
    pub(crate) since: SystemTime,
    /// The number of its routes.
    pub(crate) routes: usize,
    /// The certificates of the listener.
    pub(crate) certificates: Vec<CertificateReading>,
}

/// A certificate of the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateReading {
    /// Its first DNS name, or its subject.
    pub(crate) name: String,
    /// The end of its validity.
    pub(crate) expires: SystemTime,
}
