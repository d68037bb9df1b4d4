//! Every decision Jetway makes, as plain functions of a request, the time and random bytes.
//!
//! Nothing here does I/O, reads a clock, draws randomness, writes a log or knows a proxy's types. A body (Envoy with the
//! module, or the bundled host with the module) builds a [`request::Request`], calls [`gate::Gate::begin`] and performs
//! the [`step::Step`] that comes back.
#![forbid(unsafe_code)]

mod activity;
mod address_limit;
pub mod assertion;
pub mod capacity;
mod client_certificate;
pub mod colour;
pub mod config;
pub mod contract;
pub mod cookie;
pub mod env;
pub mod explain;
pub mod forwarded;
pub mod gate;
pub mod head_size;
pub mod header;
mod in_force;
pub mod json;
pub mod needs;
pub mod oidc;
pub mod outage;
pub mod page;
pub mod path;
pub mod policy;
pub mod refusal;
pub mod renewal;
pub mod repeats;
mod reply;
pub mod request;
mod revocation;
pub mod seal;
pub mod session;
pub mod shared;
pub mod step;
pub mod template;
pub mod unix_user;
mod used;
pub mod waiting;
pub mod watched;
pub mod websocket;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
#[allow(clippy::panic, reason = "only tests have it, and cargo-fuzz")]
pub mod fuzzing;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, reason = "only tests have it, and cargo-fuzz")]
mod testing;
