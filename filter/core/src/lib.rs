//! Every decision of Jetway, as functions of a request, the time, random bytes and shared data.
//!
//! The crate does no I/O, reads no clock, draws no randomness, writes no log and knows no types of a proxy. The module, in Envoy or in
//! the bundled host, builds a [`http::request::Request`], calls [`gate::Gate::begin`] and
//! performs the [`gate::step::Step`] that it returns.
//!
//! The modules form layers, and each module uses only those of lower layers: docs/architecture.md draws them, and
//! `tests/layers.rs` checks them.
#![forbid(unsafe_code)]

pub mod config;
pub mod contract;
pub mod diagnostics;
mod digest;
pub mod email_address;
pub mod env;
pub mod explain;
pub mod gate;
pub mod hex;
pub mod http;
pub mod json;
pub mod limits;
pub mod oidc;
pub mod policy;
pub mod refusal;
pub mod secret;
pub mod session;
pub mod store;
pub mod time;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
#[allow(clippy::panic, reason = "only tests and cargo-fuzz use it")]
pub mod fuzzing;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, reason = "only tests and cargo-fuzz use it")]
mod testing;
