//! Parses templates.
//!
//! ```text
//! template   = *( variable / literal )
//! variable   = "$$" / "$" name *( "." name ) / "${" ws name *( ws ( "." ws name / "[" ws string ws "]" ) ) ws "}"
//! name       = 1*( letter / digit / "_" / "-" )
//! string     = <"> *( "\" any / any but <"> ) <">
//! ws         = *( space / tab )
//! ```

use crate::http::template::{Part, Reference};

/// Splits a template into its parts.
pub(super) fn parse_parts(template: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some(dollar) = rest.find('$') {
        let (before, variable) = rest.split_at(dollar);
        text.push_str(before);
        let after = variable.strip_prefix('$').unwrap_or(variable);
        rest = if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            after
        } else if let Some((path, after)) = parse_braced(after).or_else(|| parse_plain(after)) {
            if !text.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut text)));
            }
            parts.push(Part::Reference(Reference::of(&path)));
            after
        } else {
            text.push('$');
            after
        };
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(Part::Literal(text));
    }
    parts
}

/// Parses `a.b`, and returns its names and what follows it.
fn parse_plain(text: &str) -> Option<(Vec<String>, &str)> {
    let (first, mut rest) = parse_name(text)?;
    let mut path = vec![first];
    while let Some(after) = rest.strip_prefix('.') {
        let (next, after) = parse_name(after)?;
        path.push(next);
        rest = after;
    }
    Some((path, rest))
}

/// Parses `{ a.b["c"] }`, and returns its names and what follows it.
fn parse_braced(text: &str) -> Option<(Vec<String>, &str)> {
    let (first, rest) = parse_name(skip_space(text.strip_prefix('{')?))?;
    let mut path = vec![first];
    let mut rest = skip_space(rest);
    loop {
        let (next, after) = if let Some(after) = rest.strip_prefix('.') {
            parse_name(skip_space(after))?
        } else if let Some(after) = rest.strip_prefix('[') {
            let (string, after) = parse_quoted(skip_space(after))?;
            (string, skip_space(after).strip_prefix(']')?)
        } else {
            return rest.strip_prefix('}').map(|after| (path, after));
        };
        path.push(next);
        rest = skip_space(after);
    }
}

fn parse_name(text: &str) -> Option<(String, &str)> {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let end = text
        .bytes()
        .position(|byte| !fit(byte))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

fn parse_quoted(text: &str) -> Option<(String, &str)> {
    let mut string = String::new();
    let mut characters = text.strip_prefix('"')?.chars();
    loop {
        match characters.next()? {
            '"' => return Some((string, characters.as_str())),
            '\\' => string.push(characters.next()?),
            other => string.push(other),
        }
    }
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}
