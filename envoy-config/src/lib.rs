//! Turns a Jetway configuration into an Envoy bootstrap that loads Jetway's module.
//!
//! The module decides and Envoy forwards, exactly as the bundled host does: the module names the route it permits in
//! [`jetway_core::contract::ROUTE_HEADER`], and Envoy has one route for each name and none for a request without one. So
//! nothing behind this Envoy can be reached past the module, not even when the filter is taken out of the file.
//!
//! What comes out is a whole file a person can read: hardened as Envoy's own guide for edge proxies asks, with the
//! reason beside each setting that is not obvious.
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

pub use bootstrap::bootstrap;
pub use error::Error;
pub use options::Options;
