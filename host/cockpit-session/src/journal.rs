//! The log: standard error, which systemd passes to the journal.

use std::fmt;
use std::io::Write as _;

/// Longest line in characters; claims of the provider are part of it.
const MAX_LINE: usize = 1024;

/// Writes one line. Its contents cannot end the line early or control a terminal.
pub(crate) fn note(message: fmt::Arguments<'_>) {
    // There is no other place to report an error of standard error.
    let _ = writeln!(
        std::io::stderr(),
        "jetway-cockpit-session: {}",
        one_line(&message.to_string())
    );
}

fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(MAX_LINE));
    for character in text.chars().take(MAX_LINE) {
        match character {
            ' '..='~' => line.push(character),
            _ => line.extend(character.escape_default()),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(one_line("a\nb\u{1b}[31mü"), "a\\nb\\u{1b}[31m\\u{fc}");
        assert_eq!(one_line(&"x".repeat(9999)).len(), MAX_LINE);
    }
}
