//! The result of reading a configuration.

use crate::config::Config;
use crate::diagnostics::{Problem, Warning};

/// A configuration that cannot be used, with every problem, sorted by path.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the configuration has {} problem(s): {}", .problems.len(), .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ConfigError {
    /// The problems; never empty.
    pub problems: Vec<Problem>,
    /// The warnings.
    pub warnings: Vec<Warning>,
}

/// A usable configuration with its warnings.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Findings about values that are accepted but probably not intended.
    pub warnings: Vec<Warning>,
}
