//! Signed-in requests that are the same in every run, and what they need: a provider, a clock and shared data.
//!
//! The program of this package counts instructions of the core, and its test counts the calls of the module to its host.

pub mod provider;
pub mod shape;
pub mod world;
