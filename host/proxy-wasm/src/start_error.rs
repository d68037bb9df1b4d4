//! The error of a plugin that does not start.

use std::fmt;

/// A plugin did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// The cause, on one line.
    pub cause: String,
    /// The last line that the plugin logged, which usually says why.
    pub last_line: Option<String>,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = &self.last_line {
            write!(f, "{line}: ")?;
        }
        f.write_str(&self.cause)
    }
}

impl std::error::Error for StartError {}
