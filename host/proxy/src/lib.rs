//! Jetway's proxy: listeners, connections, exchanges, upstreams and TLS. The proxy-wasm module of [`serve::Settings`] decides
//! each request.
//!
//! The modules form layers, and each module uses only those of lower layers; `tests/layers.rs` lists and checks them.
#![forbid(unsafe_code)]

mod access;
mod admin;
mod body;
pub mod callouts;
mod catch_panic;
mod client;
mod connection;
mod error_response;
mod exchange;
mod fault;
pub mod limits;
pub mod metrics;
mod module_log;
mod panic_point;
mod proxy;
mod request_id;
pub mod serve;
mod shutdown;
mod slots;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod transport;
pub mod upstream;
mod wasm;
