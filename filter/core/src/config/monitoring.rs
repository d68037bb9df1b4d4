//! Where Jetway's own proxy shows its metrics and its health.

use std::net::SocketAddr;

use crate::config::{Pem, ServerCertificate};
use crate::secret::Secret;

/// The listeners for operators and their programs. Each is absent by default.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Monitoring {
    /// The listener for metrics (`metrics_address` and the other `metrics_*` keys).
    pub metrics: Option<MetricsListener>,
    /// The address of the listener for probes, `host:port` or `:port` (`health_check_addr`).
    pub health: Option<String>,
    /// The address of the listener for operators (`admin_address`).
    pub admin: Option<AdminAddress>,
}

impl Monitoring {
    /// Returns whether another configuration has the same listeners with the same settings. Files are compared by name.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let same_metrics = match (&self.metrics, &other.metrics) {
            (Some(own), Some(other)) => own.is_same_as(other),
            (own, other) => own.is_none() && other.is_none(),
        };
        same_metrics && self.health == other.health && self.admin == other.admin
    }
}

impl MetricsListener {
    fn is_same_as(&self, other: &Self) -> bool {
        let expose = |listener: &Self| {
            listener
                .credentials
                .as_ref()
                .map(|own| own.expose().to_vec())
        };
        self.address == other.address
            && expose(self) == expose(other)
            && self.certificate == other.certificate
            && self.client_authorities == other.client_authorities
    }
}

/// The listener for metrics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MetricsListener {
    /// `host:port` or `:port`.
    pub address: String,
    /// `USER:PASSWORD`, if clients have to authenticate.
    pub credentials: Option<Secret>,
    /// The certificate; absent for plain HTTP.
    pub certificate: Option<ServerCertificate>,
    /// The authorities of clients' certificates; each client has to show one.
    pub client_authorities: Option<Pem>,
}

/// The address of the listener for operators: only users of this machine reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// A loopback address.
    Loopback(SocketAddr),
    /// The path of a Unix socket, whose file permissions decide who connects.
    Unix(String),
}
