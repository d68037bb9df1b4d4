//! What the generated file needs to know beside the configuration.

use std::net::SocketAddr;
use std::time::Duration;

use jetway_core::limits::CLIENT_CONNECTIONS;

/// Places and limits that belong to one Envoy installation. [`Options::default`] fits Debian and its relatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Path of the module (`jetway filter > jetway.wasm`) on the machine where Envoy runs.
    pub module_path: String,
    /// Path of the PEM bundle of authorities that may sign the certificates of the provider and of `https` upstreams.
    pub trusted_ca_path: String,
    /// Address of Envoy's admin port, loopback only; `None` leaves it out.
    pub admin: Option<SocketAddr>,
    /// How long a connection to an upstream or to the provider may take to be made.
    pub connect_timeout: Duration,
    /// How many client connections may be open at once; further ones are closed at once.
    pub max_connections: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            module_path: "/etc/jetway/jetway.wasm".to_owned(),
            trusted_ca_path: "/etc/ssl/certs/ca-certificates.crt".to_owned(),
            admin: None,
            // Pomerium's value.
            connect_timeout: Duration::from_secs(10),
            max_connections: CLIENT_CONNECTIONS,
        }
    }
}
