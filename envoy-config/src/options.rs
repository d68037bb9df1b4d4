//! The parameters of the generated file beside the configuration.

use std::net::SocketAddr;
use std::time::Duration;

use jetway_core::limits::CLIENT_CONNECTIONS;

/// Paths and limits of one Envoy installation. [`Options::default`] is suitable for Debian and its derivatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Path of the module (`jetway module > jetway.wasm`) on the machine where Envoy runs.
    pub module_path: String,
    /// Path of the PEM bundle of authorities that may sign the certificates of the provider and of `https` upstreams.
    pub trusted_ca_path: String,
    /// Address of Envoy's admin port, loopback only; `None` disables it.
    pub admin: Option<SocketAddr>,
    /// How long it may take to establish a connection to an upstream or to the provider.
    pub connect_timeout: Duration,
    /// Most open client connections; further ones are closed immediately.
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
