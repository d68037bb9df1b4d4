//! What a terminal does with text.

/// Whether a terminal may do something else than show a character: move the cursor, change colours, or turn the direction of
/// writing (Unicode's marks, embeddings, overrides and isolates), so that text is not read as it is.
pub(crate) fn obeyed(c: char) -> bool {
    let turns =
        matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_and_all_else_obeyed() {
        assert!(!"aä→ א…".chars().any(obeyed));
        let all = "\n\u{1b}\u{9b}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}";
        assert!(all.chars().all(obeyed));
    }
}
