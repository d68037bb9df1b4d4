//! Turns a Jetway configuration into an Envoy bootstrap that loads Jetway's module.
//!
//! The module decides and Envoy forwards, exactly as in the bundled host: the module names the permitted route in
//! [`jetway_core::contract::ROUTE_HEADER`], and Envoy has one route for each name and none for a request without one. So no
//! upstream of this Envoy can be reached past the module, even if the filter is removed from the file.
//!
//! The result is a complete and readable file: hardened as Envoy's own guide for edge proxies recommends, with the reason
//! beside each setting that is not obvious.
#![forbid(unsafe_code)]

mod access_log;
mod bootstrap;
mod cluster;
mod connection;
mod endpoint;
mod error;
mod listener;
mod local_reply;
mod options;
mod pem;
mod plugin;
mod route;
mod tls;
mod wasm;
mod yaml;

pub use bootstrap::generate_bootstrap;
pub use error::Error;
pub use options::Options;
