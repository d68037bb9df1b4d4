//! Every decision Jetway makes, as plain functions of a request, the time and random bytes.
//!
//! Nothing here does I/O, reads a clock, draws randomness, writes a log or knows a proxy's types. A proxy (Envoy with the
//! module, or the bundled host with the module) builds a [`http::request::Request`], calls [`gate::Gate::begin`] and
//! performs the [`gate::step::Step`] that comes back.
//!
//! The modules form layers, and each module uses only those of lower layers; `tests/layers.rs` lists and checks them.
#![forbid(unsafe_code)]

pub mod config;
pub mod contract;
pub mod diagnostics;
mod digest;
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
#[allow(clippy::panic, reason = "only tests have it, and cargo-fuzz")]
pub mod fuzzing;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, reason = "only tests have it, and cargo-fuzz")]
mod testing;
