//! The log lines of plugins.

use std::fmt;

use crate::state::{LastLine, State};

/// Longest line that is logged for the plugin; longer lines are truncated.
const LINE_LIMIT: usize = 4096;

/// Level of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The most detailed level.
    Trace,
    /// Information for developers.
    Debug,
    /// Normal events.
    Info,
    /// An unusual condition.
    Warn,
    /// A failure.
    Error,
    /// A failure after which nothing works.
    Critical,
}

/// Receives the log lines of plugins.
pub trait Log {
    /// Returns the most detailed level that is written.
    fn finest(&self) -> Level;

    /// Writes a line. It is one line of bounded length: its control characters are escaped.
    fn write(&self, level: Level, line: &dyn fmt::Display);
}

/// Writes log lines as events of `tracing` with the target `plugin`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingLog;

impl Log for TracingLog {
    fn finest(&self) -> Level {
        use tracing::level_filters::LevelFilter;
        match LevelFilter::current() {
            LevelFilter::TRACE => Level::Trace,
            LevelFilter::DEBUG => Level::Debug,
            LevelFilter::INFO => Level::Info,
            LevelFilter::WARN => Level::Warn,
            LevelFilter::ERROR => Level::Error,
            _ => Level::Critical,
        }
    }

    fn write(&self, level: Level, line: &dyn fmt::Display) {
        match level {
            Level::Trace => tracing::trace!(target: "plugin", "{line}"),
            Level::Debug => tracing::debug!(target: "plugin", "{line}"),
            Level::Info => tracing::info!(target: "plugin", "{line}"),
            Level::Warn => tracing::warn!(target: "plugin", "{line}"),
            Level::Error | Level::Critical => tracing::error!(target: "plugin", "{line}"),
        }
    }
}

impl Level {
    /// Returns the level of that number in the ABI.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Trace),
            1 => Some(Self::Debug),
            2 => Some(Self::Info),
            3 => Some(Self::Warn),
            4 => Some(Self::Error),
            5 => Some(Self::Critical),
            _ => None,
        }
    }
}

/// Writes one line of the plugin to the log, and keeps it while the plugin starts.
pub(crate) fn write(state: &mut State, level: Level, text: &[u8]) {
    let line = Line(text);
    if let LastLine::Kept(last) = &mut state.last_line {
        *last = Some(line.to_string());
    }
    state.env.services.log.write(level, &line);
}

/// Formats bytes as one line of bounded length. A client may have sent them, so control characters are escaped.
struct Line<'a>(&'a [u8]);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.0.get(..LINE_LIMIT);
        for chunk in cut.unwrap_or(self.0).trim_ascii_end().utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    fmt::Write::write_char(f, character)?;
                }
            }
            if !chunk.invalid().is_empty() {
                fmt::Write::write_char(f, char::REPLACEMENT_CHARACTER)?;
            }
        }
        if cut.is_some() {
            f.write_str("…")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_bounded_length() {
        assert_eq!(Line(b"a\nb\x1b[0m\r\n").to_string(), r"a\nb\u{1b}[0m");
        assert_eq!(
            Line("grün \u{fffd}".as_bytes()).to_string(),
            "grün \u{fffd}"
        );
        assert_eq!(Line(b"x\xffy").to_string(), "x\u{fffd}y");
        let long = Line(&[b'a'; LINE_LIMIT * 2]).to_string();
        assert_eq!(long.chars().count(), LINE_LIMIT + 1);
    }
}
