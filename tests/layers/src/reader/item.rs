//! Attributes and items, as far as it takes to skip those that exist only in tests.

use super::{is_word, word, word_at};
use crate::token::{Token, TokenKind};

/// Returns whether the `#` at `at` begins an attribute.
pub(super) fn is_attribute(tokens: &[Token], at: usize) -> bool {
    let mut after = tokens.iter().skip(at + 1).map(|token| &token.kind);
    match after.next() {
        Some(TokenKind::Sign('!')) => after.next() == Some(&TokenKind::Sign('[')),
        next => next == Some(&TokenKind::Sign('[')),
    }
}

/// Returns the place after the attribute that begins at `at`.
pub(super) fn skip_attribute(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.kind {
            TokenKind::Sign('[') => depth += 1,
            TokenKind::Sign(']') if depth <= 1 => return place + 1,
            TokenKind::Sign(']') => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Returns whether an attribute is a `cfg` that names `test`, other than within `not(…)`.
pub(super) fn has_test_condition(attribute: &[Token]) -> bool {
    let is_condition = attribute.iter().find_map(word) == Some("cfg");
    let negated = |place: usize| {
        let before = attribute.get(..place).unwrap_or_default();
        matches!(before, [.., not, open] if is_word(not, "not") && open.kind == TokenKind::Sign('('))
    };
    let mut places = attribute.iter().enumerate();
    is_condition && places.any(|(place, token)| is_word(token, "test") && !negated(place))
}

/// Returns the place after the item, statement or field that begins at `at`, with its other attributes.
pub(super) fn skip_item(tokens: &[Token], at: usize) -> usize {
    let mut at = at;
    while tokens
        .get(at)
        .is_some_and(|token| token.kind == TokenKind::Sign('#'))
    {
        at = skip_attribute(tokens, at);
    }
    let end = ItemEnd::of(tokens, at);
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.kind {
            TokenKind::Sign('(' | '[' | '{') => depth += 1,
            // The item's surroundings end.
            TokenKind::Sign(')' | ']' | '}') if depth == 0 => return place,
            TokenKind::Sign(')' | ']') => depth -= 1,
            TokenKind::Sign('}') => {
                depth -= 1;
                if depth == 0 && end == ItemEnd::Brace {
                    return place + 1;
                }
            }
            TokenKind::Sign(';') if depth == 0 => return place + 1,
            TokenKind::Sign(',') if depth == 0 && end == ItemEnd::Comma => return place + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The token that ends an item, beside a semicolon.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ItemEnd {
    /// Its closing brace, for functions, modules, types and implementations.
    Brace,
    /// A comma, for fields and variants.
    Comma,
    /// Nothing: braces may be part of it, as in `use a::{b, c};`.
    Semicolon,
}

impl ItemEnd {
    fn of(tokens: &[Token], at: usize) -> Self {
        let mut at = at;
        if word_at(tokens, at) == Some("pub") {
            at += 1;
            if tokens
                .get(at)
                .is_some_and(|token| token.kind == TokenKind::Sign('('))
            {
                let close = tokens
                    .iter()
                    .skip(at)
                    .position(|token| token.kind == TokenKind::Sign(')'));
                at += close.map_or(0, |close| close + 1);
            }
        }
        match (word_at(tokens, at), word_at(tokens, at + 1)) {
            (Some("const"), Some("fn" | "unsafe" | "extern")) => Self::Brace,
            (Some("use" | "const" | "static" | "type" | "let"), _) => Self::Semicolon,
            (
                Some(
                    "fn" | "async" | "unsafe" | "extern" | "impl" | "mod" | "struct" | "enum"
                    | "union" | "trait" | "macro_rules",
                ),
                _,
            ) => Self::Brace,
            _ => Self::Comma,
        }
    }
}
