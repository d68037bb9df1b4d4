//! The settings that a proxy is started with.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use jetway_core::config::Config;
use serde_json::Value;

use super::ProcessFacts;
use crate::callouts::ProviderAccess;
use crate::tls::Certificates;

/// The settings that a proxy is started with.
pub struct Settings {
    /// The configuration, as [`Config::read`] returned it.
    pub config: Config,
    /// The file that `config` was read from, as JSON: the plugin's configuration. Its secrets are not passed on from here;
    /// the plugin gets them from `config`, as environment variables.
    pub file: Value,
    /// Certificates of the listener, or plain HTTP.
    pub certificates: Certificates,
    /// The addresses to listen on; port 0 lets the system choose. `serve::parse_addresses` reads them from a string.
    pub addresses: Vec<SocketAddr>,
    /// The number of workers: threads, each with its own listener, plugin instance and upstream connections.
    pub workers: NonZeroUsize,
    /// The proxy-wasm module that decides, as WebAssembly.
    pub module: &'static [u8],
    /// Directory in which the compiled module is kept, so that the next start does not compile it.
    pub module_cache: Option<PathBuf>,
    /// How the plugin's calls reach the provider.
    pub provider_access: ProviderAccess,
    /// The limit on open files, from which the limits on connections follow: [`crate::limits::raise_open_files`].
    pub open_files: u64,
    /// The facts about the process that metrics and status show.
    pub process: ProcessFacts,
    /// How long requests in progress may take to end when the proxy stops. `limits::GRACE` is the usual time.
    pub drain_time: Duration,
}
