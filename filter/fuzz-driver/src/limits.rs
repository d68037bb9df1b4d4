//! How much is tried.

use std::time::Duration;

/// Changed inputs where no time is given: what a plain `cargo test` can afford for each target, without optimisation.
pub(crate) const CASES: u64 = 64;

/// Longest changed input, in bytes: longer than what the parsers accept in a piece, and short enough for many cases.
pub(crate) const MAX_INPUT: usize = 16 * 1024;

/// A target that takes longer for one input does not end: the longest inputs take milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
