//! Colours and escapes for terminals. All output of the command line is coloured here and nowhere else.

use std::fmt::Display;
use std::io;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use jetway_config_file::terminal::is_terminal_control;

/// The styles of one output stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Styles {
    /// With colours.
    Coloured,
    /// Without escape sequences.
    Plain,
}

impl Styles {
    /// Returns the styles for standard output. Terminals get colours, unless the environment says otherwise (`NO_COLOR`,
    /// `CLICOLOR`, `CLICOLOR_FORCE`, `TERM`).
    pub(crate) fn for_stdout() -> Self {
        Self::from_choice(AutoStream::choice(&io::stdout()))
    }

    /// Returns the styles for standard error, by the same rules.
    pub(crate) fn for_stderr() -> Self {
        Self::from_choice(AutoStream::choice(&io::stderr()))
    }

    const fn from_choice(choice: ColorChoice) -> Self {
        if matches!(choice, ColorChoice::Never) {
            Self::Plain
        } else {
            Self::Coloured
        }
    }

    /// Whether there are colours.
    pub(crate) const fn is_coloured(self) -> bool {
        matches!(self, Self::Coloured)
    }

    /// Marks a success.
    pub(crate) fn good(self, text: impl Display) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// Marks a failure.
    pub(crate) fn bad(self, text: impl Display) -> String {
        self.paint(AnsiColor::Red.on_default(), text)
    }

    /// Marks something that is neither.
    pub(crate) fn open(self, text: impl Display) -> String {
        self.paint(AnsiColor::Yellow.on_default(), text)
    }

    /// Emphasizes.
    pub(crate) fn strong(self, text: impl Display) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// Makes a string less prominent.
    pub(crate) fn faint(self, text: impl Display) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    fn paint(self, style: Style, text: impl Display) -> String {
        let text = text.to_string();
        match self {
            Self::Coloured if !text.is_empty() => format!("{style}{text}{style:#}"),
            _ => text,
        }
    }
}

/// Returns a string of a file or of the command line on one line, with the characters escaped that a terminal would act on.
pub(crate) fn escape_controls(text: &str) -> String {
    if !text.chars().any(is_terminal_control) {
        return text.to_owned();
    }
    let escape = |letter: char| -> String {
        if is_terminal_control(letter) {
            letter.escape_default().collect()
        } else {
            letter.into()
        }
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_no_escapes() {
        assert_eq!(Styles::Plain.good("a"), "a");
        assert_eq!(Styles::Coloured.good("a"), "\u{1b}[32ma\u{1b}[0m");
    }

    #[test]
    fn controls_are_escaped() {
        assert_eq!(escape_controls("ä b"), "ä b");
        assert_eq!(
            escape_controls("a\u{202e}b\u{2066}"),
            "a\\u{202e}b\\u{2066}"
        );
        assert_eq!(
            escape_controls("\u{1b}[2J\n\u{9b}x"),
            "\\u{1b}[2J\\n\\u{9b}x"
        );
    }
}
