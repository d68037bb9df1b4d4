//! Problems and warnings of a configuration, each with the place it is about.

use crate::config::Config;
use crate::diagnostics::{Problem, Warning};

/// A configuration that cannot be used: every problem found, in the order of the file as far as it is known.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the configuration has {} problem(s): {}", .problems.len(), .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ConfigError {
    /// Never empty.
    pub problems: Vec<Problem>,
    /// Warnings found on the way.
    pub warnings: Vec<Warning>,
}

/// A usable configuration and what deserves a second look.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Accepted, but probably not meant.
    pub warnings: Vec<Warning>,
}
