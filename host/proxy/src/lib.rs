//! Jetway's proxy: listeners, connections, exchanges, upstreams and TLS. Each request is decided by the proxy-wasm module
//! that [`serve::Settings`] name.
#![forbid(unsafe_code)]

mod access;
mod answer;
mod body;
pub mod callouts;
mod caught;
mod connection;
mod exchange;
mod fault;
pub mod limits;
pub mod serve;
pub mod tls;
pub mod transport;
mod tunnel;
pub mod upstream;
mod wasm;
