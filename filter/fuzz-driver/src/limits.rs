//! Limits of a run.

use std::time::Duration;

/// Changed inputs when no duration is given: as many as a plain `cargo test` can run for each target, without optimisation.
pub(crate) const CASES: u64 = 64;

/// Longest changed input, in bytes: longer than what the parsers accept in a piece, and short enough for many cases.
pub(crate) const MAX_INPUT: usize = 16 * 1024;

/// Time limit of one input. The longest inputs take milliseconds, so a target that takes longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
