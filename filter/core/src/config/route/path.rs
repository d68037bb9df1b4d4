//! The paths that a route serves.

use regex_lite::Regex;

use super::pattern::compile_whole;
use crate::config::file_map::FileMap;
use crate::diagnostics::{Findings, quoted};
use crate::http::path::{canonical, without_parameters};

/// The paths that a route serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// Every path.
    Any,
    /// Exactly this path (`path`).
    Exact(String),
    /// Paths that begin with this string (`prefix`).
    Prefix(String),
    /// Paths that a regular expression matches as a whole (`regex`).
    Regex(PathPattern),
}

/// A regular expression for whole paths.
#[derive(Clone, Debug)]
pub struct PathPattern {
    regex: Regex,
    written: String,
}

impl PathPattern {
    /// Returns the pattern as written in the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl PartialEq for PathPattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for PathPattern {}

impl PathMatch {
    /// Reads the keys. `regex` takes precedence over `path`, and `path` over `prefix`, as in Pomerium.
    pub(super) fn read(map: &FileMap<'_>, findings: &mut Findings) -> Option<Self> {
        let before = findings.problem_count();
        let regex = map.non_empty_string("regex", findings);
        let exact = read_plain(map, "path", findings);
        let prefix = read_plain(map, "prefix", findings);
        warn_of_several(map, findings);
        if let Some(written) = regex {
            let key_path = map.path_of("regex");
            let regex = compile_whole(&written, &key_path, findings)?;
            if let Some(escape) = escape_that_never_comes(&written) {
                findings
                    .warning(&key_path, format!("no normalized path has `{escape}`"))
                    .help("write the character itself, or the escape with upper-case digits");
            }
            return Some(Self::Regex(PathPattern { regex, written }));
        }
        if findings.problem_count() > before {
            return None;
        }
        Some(match (exact, prefix) {
            (Some(exact), _) => Self::Exact(exact),
            (None, Some(prefix)) if prefix != "/" => Self::Prefix(prefix),
            _ => Self::Any,
        })
    }

    /// Returns whether a canonical path, without its query, matches.
    #[must_use]
    pub fn serves(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Self::Regex(pattern) => pattern.regex.is_match(path),
        }
    }
}

/// Reads a path in canonical form, in which requests are matched; a path in another form would never match.
fn read_plain(map: &FileMap<'_>, key: &str, findings: &mut Findings) -> Option<String> {
    let text = map.non_empty_string(key, findings)?;
    let key_path = map.path_of(key);
    if !is_canonical(&text) {
        findings
            .problem(
                &key_path,
                format!(
                    "{} is not a normalized path, so it never matches",
                    quoted(&text)
                ),
            )
            .help(plain_form_help(&text));
        return None;
    }
    // A request must match the same route with and without its path parameters; otherwise it is refused.
    if without_parameters(&text).is_some() {
        findings
            .problem(
                &key_path,
                format!(
                    "{} has a `;`, which begins path parameters for many servers, so it never matches",
                    quoted(&text)
                ),
            )
            .help("end it before the `;`");
        return None;
    }
    Some(text)
}

/// Returns whether a path is in canonical form, without a query.
pub(super) fn is_canonical(text: &str) -> bool {
    canonical(text).as_deref() == Ok(text) && !text.contains('?')
}

/// Returns what to write instead of a path in another form.
pub(super) fn plain_form_help(text: &str) -> String {
    match canonical(text) {
        Ok(plain) if !plain.contains('?') => format!("write {}", quoted(&plain)),
        _ => "begin with `/`, without `.` segments, `//`, `?` or needless escapes".to_owned(),
    }
}

/// Returns the first escape in a pattern that no canonical path has, because canonical paths have the character itself or
/// upper-case digits, or because such a path is refused.
fn escape_that_never_comes(pattern: &str) -> Option<&str> {
    let escapes = pattern
        .match_indices('%')
        .filter_map(|(position, _)| pattern.get(position..position + 3));
    escapes
        .filter(|escape| {
            escape
                .bytes()
                .skip(1)
                .all(|digit| digit.is_ascii_hexdigit())
        })
        .find(|escape| {
            // A part of a character in UTF-8 is no path by itself.
            let is_beyond_ascii = matches!(escape.as_bytes().get(1), Some(b'8'..));
            let is_upper = !escape.bytes().any(|digit| digit.is_ascii_lowercase());
            !is_upper || (!is_beyond_ascii && !is_canonical(&format!("/{escape}")))
        })
}

fn warn_of_several(map: &FileMap<'_>, findings: &mut Findings) {
    let mut given = ["regex", "path", "prefix"]
        .into_iter()
        .filter(|key| map.has(key));
    let Some(winner) = given.next() else { return };
    for loser in given {
        findings
            .warning(
                &map.path_of(loser),
                format!("`{loser}` has no effect next to `{winner}`"),
            )
            .help("keep one of them");
    }
}
