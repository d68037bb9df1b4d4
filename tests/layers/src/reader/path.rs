//! Paths to other modules: whole `use` declarations, and paths in other code that begin with `crate`, `super` or `self`.

use std::collections::BTreeSet;

use super::{is_word, word_at};
use crate::token::{Token, TokenKind};

/// A path that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FoundPath {
    /// The segments after `crate`.
    pub(super) segments: Vec<String>,
    /// Its line.
    pub(super) line: Option<usize>,
}

/// Reads the paths that begin at the token `at` of the module `from`, and returns them with the next place to read. `names`
/// are the modules that are declared in `from`.
pub(super) fn read_paths(
    tokens: &[Token],
    at: usize,
    from: &[String],
    names: &BTreeSet<String>,
) -> (Vec<FoundPath>, usize) {
    let mut reader = PathReader {
        tokens,
        at,
        from,
        names,
        found: Vec::new(),
    };
    match word_at(tokens, at) {
        Some("use") => {
            reader.at += 1;
            reader.read_tree(None);
        }
        Some("crate" | "super" | "self") if is_plain_path(tokens, at) => reader.read_tree(None),
        _ => reader.at += 1,
    }
    (reader.found, reader.at)
}

/// Returns whether a path begins at `at` that is not the scope of a visibility, as in `pub(in crate::a)`.
fn is_plain_path(tokens: &[Token], at: usize) -> bool {
    let has_more = tokens
        .get(at + 1)
        .is_some_and(|next| next.kind == TokenKind::PathSeparator);
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    let continues = before.is_some_and(|before| before.kind == TokenKind::PathSeparator);
    has_more && !continues && !is_visibility(tokens, at)
}

fn is_visibility(tokens: &[Token], at: usize) -> bool {
    let before = tokens.get(..at).unwrap_or_default();
    matches!(before, [.., public, open, within]
        if is_word(public, "pub") && open.kind == TokenKind::Sign('(') && is_word(within, "in"))
}

struct PathReader<'a> {
    tokens: &'a [Token],
    at: usize,
    from: &'a [String],
    names: &'a BTreeSet<String>,
    found: Vec<FoundPath>,
}

impl PathReader<'_> {
    /// Reads a path, or a tree of them that begins with `prefix`.
    fn read_tree(&mut self, prefix: Option<Vec<String>>) {
        let line = self.tokens.get(self.at).map(|token| token.line);
        let mut path = prefix;
        let mut is_foreign = false;
        loop {
            match self.tokens.get(self.at).map(|token| &token.kind) {
                Some(TokenKind::Word(segment)) => {
                    is_foreign = is_foreign || !self.extend(&mut path, segment);
                    self.at += 1;
                }
                Some(TokenKind::Sign('{')) => return self.read_group(path, is_foreign),
                // `*`, or the generic arguments of a path in other code.
                _ => break,
            }
            match self.tokens.get(self.at).map(|token| &token.kind) {
                Some(TokenKind::PathSeparator) => self.at += 1,
                _ => break,
            }
        }
        if let Some(segments) = path.filter(|_| !is_foreign) {
            self.found.push(FoundPath { segments, line });
        }
    }

    /// Adds a segment to `path`. Returns whether the path is still one within the crate.
    fn extend(&self, path: &mut Option<Vec<String>>, segment: &str) -> bool {
        match (path.as_mut(), segment) {
            (None, "crate") => *path = Some(Vec::new()),
            (None, "self") => *path = Some(self.from.to_vec()),
            (None, "super") => *path = Some(parent(self.from)),
            (None, name) if self.names.contains(name) => {
                *path = Some(
                    self.from
                        .iter()
                        .map(String::as_str)
                        .chain([name])
                        .map(str::to_owned)
                        .collect(),
                );
            }
            (None, _) => return false,
            (Some(path), "super") => *path = parent(path),
            (Some(_), "self") => {}
            (Some(path), name) => path.push(name.to_owned()),
        }
        true
    }

    fn read_group(&mut self, prefix: Option<Vec<String>>, is_foreign: bool) {
        self.at += 1;
        let found = self.found.len();
        while let Some(token) = self.tokens.get(self.at) {
            match &token.kind {
                TokenKind::Sign('}') => {
                    self.at += 1;
                    break;
                }
                TokenKind::Sign('{') | TokenKind::Word(_) if !is_word(token, "as") => {
                    self.read_tree(prefix.clone())
                }
                // The name after `as` is no path.
                TokenKind::Word(_) => self.at += 2,
                _ => self.at += 1,
            }
        }
        if is_foreign {
            self.found.truncate(found);
        }
    }
}

fn parent(path: &[String]) -> Vec<String> {
    path.split_last()
        .map_or_else(Vec::new, |(_, parent)| parent.to_vec())
}
