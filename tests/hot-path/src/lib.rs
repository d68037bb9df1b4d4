//! Signed-in requests that are the same in every run, and what they need: a provider, a clock and shared data, or a browser.
//!
//! The program of this package counts instructions of the core, and those of the module with the host that runs it. Its test counts
//! the calls of the module to its host.

pub mod client;
pub mod provider;
pub mod shape;
pub mod world;
