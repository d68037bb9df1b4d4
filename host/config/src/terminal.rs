//! Characters that a terminal acts on instead of showing them.

/// Whether a terminal would act on a character: move the cursor, change colours, or turn the direction of writing (Unicode's
/// flagged, embeddings, overrides and isolates), which makes a string look like another one.
#[must_use]
pub fn is_terminal_control(c: char) -> bool {
    let turns =
        matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

/// Returns a string with each of these characters replaced by U+FFFD.
#[must_use]
pub fn printable(text: &str) -> String {
    let shown = |c| {
        if is_terminal_control(c) {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_shown_and_controls_are_found() {
        assert!(!"aä→ א…".chars().any(is_terminal_control));
        let all = "\n\u{1b}\u{9b}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}";
        assert!(all.chars().all(is_terminal_control));
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(
            printable("a\u{1b}[31m\u{202e}b\n"),
            "a\u{FFFD}[31m\u{FFFD}b\u{FFFD}"
        );
    }
}
