//! Problems and warnings of a configuration, each with the place it is about.

use super::Config;
use super::findings::one_line;

/// One thing that is wrong, in the operator's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: keys joined by dots and list places in brackets, such as `routes[0].policy[0].allow.or[1].email`; empty for
    /// the file as a whole.
    pub path: String,
    /// What is wrong: lower case, one line, no final period.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// Something that is accepted but probably not meant.
pub type Warning = Problem;

impl Problem {
    /// A problem at a path.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            help: None,
        }
    }

    /// The same problem with what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", one_line(self.path.clone()))?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, " (help: {help})")?;
        }
        Ok(())
    }
}

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
