//! Colours, where there is a terminal to show them.

use std::fmt::Display;
use std::io::IsTerminal as _;

use anstyle::{AnsiColor, Style};

use crate::terminal::obeyed;

/// How text is marked on standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ink {
    /// With colours.
    Coloured,
    /// As plain text.
    Plain,
}

impl Ink {
    /// Colours on a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal cannot show any.
    pub(crate) fn of_output() -> Self {
        let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        if std::io::stdout().is_terminal() && !declined && !dumb {
            Self::Coloured
        } else {
            Self::Plain
        }
    }

    /// Whether there are colours.
    pub(crate) const fn is_coloured(self) -> bool {
        matches!(self, Self::Coloured)
    }

    /// What is right.
    pub(crate) fn good(self, text: impl Display) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// What is wrong.
    pub(crate) fn bad(self, text: impl Display) -> String {
        self.paint(AnsiColor::Red.on_default(), text)
    }

    /// What is neither.
    pub(crate) fn open(self, text: impl Display) -> String {
        self.paint(AnsiColor::Yellow.on_default(), text)
    }

    /// What stands out.
    pub(crate) fn strong(self, text: impl Display) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// What stands back.
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

/// Text of a file or of the command line, on one line and without anything that a terminal would obey.
pub(crate) fn harmless(text: &str) -> String {
    if !text.chars().any(obeyed) {
        return text.to_owned();
    }
    let shown = |letter: char| -> String {
        if obeyed(letter) {
            letter.escape_default().collect()
        } else {
            letter.into()
        }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_no_escapes() {
        assert_eq!(Ink::Plain.good("a"), "a");
        assert_eq!(Ink::Coloured.good("a"), "\u{1b}[32ma\u{1b}[0m");
    }

    #[test]
    fn terminals_obey_nothing() {
        assert_eq!(harmless("ä b"), "ä b");
        assert_eq!(harmless("a\u{202e}b\u{2066}"), "a\\u{202e}b\\u{2066}");
        assert_eq!(harmless("\u{1b}[2J\n\u{9b}x"), "\\u{1b}[2J\\n\\u{9b}x");
    }
}
