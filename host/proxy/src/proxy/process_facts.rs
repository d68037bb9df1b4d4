//! The facts that the program that runs the proxy states about itself.

use std::num::NonZeroUsize;

/// Facts about the process, for metrics and status. They do not change.
#[derive(Clone, Copy, Debug)]
pub struct ProcessFacts {
    /// The version of the program and the commit.
    pub version: &'static str,
    /// Returns how many log lines could not be written.
    pub dropped_log_lines: fn() -> u64,
}

impl Default for ProcessFacts {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            dropped_log_lines: || 0,
        }
    }
}

/// The facts, and the number of workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningProcess {
    pub(crate) facts: ProcessFacts,
    pub(crate) workers: NonZeroUsize,
}
