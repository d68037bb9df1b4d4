//! How the host and the path change on the way to the upstream.

use regex_lite::Regex;

use super::path::{is_canonical, plain_form_help};
use super::pattern::compile;
use crate::config::file_map::FileMap;
use crate::config::header_name::{Wish, read_name};
use crate::diagnostics::{Findings, KeyPath, quoted};

/// The `Host` that an upstream gets.
#[derive(Clone, Debug, Default)]
pub enum HostHeader {
    /// The host and port of the chosen upstream. The proxy sets it, and sends the public host as `X-Forwarded-Host`.
    #[default]
    Upstream,
    /// The public host (`preserve_host_header`).
    Preserve,
    /// This string (`host_rewrite`).
    Literal(String),
    /// The value of this request header, in lower case, when there is one (`host_rewrite_header`).
    Header(String),
    /// The path with each match of a pattern replaced (`host_path_regex_rewrite_pattern`, `…_substitution`).
    PathRegex(Substitution),
}

/// How the path changes on its way to the upstream; the query stays.
#[derive(Clone, Debug)]
pub enum PathRewrite {
    /// Replaces the part that the route's `prefix` or `path` matched (`prefix_rewrite`, or the path in the first `to`).
    Prefix(String),
    /// Replaces each match of a pattern (`regex_rewrite_pattern`, `regex_rewrite_substitution`).
    Regex(Substitution),
}

/// A regular expression and the replacement for each of its matches.
#[derive(Clone, Debug)]
pub struct Substitution {
    /// The pattern.
    pub pattern: Regex,
    /// The replacement, in the syntax of [`Regex::replace_all`]: RE2's `\1` has become `${1}`.
    pub replacement: String,
}

impl HostHeader {
    /// Reads the keys. The first that is set takes precedence, as in Pomerium: a string, a header, a pattern, the public
    /// host.
    pub(super) fn read(map: &FileMap<'_>, findings: &mut Findings) -> Self {
        let literal = read_host(map, "host_rewrite", findings);
        let header = map.non_empty_string("host_rewrite_header", findings);
        let header = header.and_then(|name| {
            let key_path = map.path_of("host_rewrite_header");
            read_name(&name, Wish::ReadRequest, &key_path, findings)
        });
        let pattern = Substitution::read(map, "host_path_regex_rewrite", findings);
        let preserve = map.flag("preserve_host_header", findings);
        match (literal, header, pattern) {
            (Some(literal), ..) => Self::Literal(literal),
            (None, Some(header), _) => Self::Header(header),
            (None, None, Some(substitution)) => Self::PathRegex(substitution),
            (None, None, None) if preserve => Self::Preserve,
            (None, None, None) => Self::Upstream,
        }
    }
}

impl PathRewrite {
    /// Reads `prefix_rewrite` or `regex_rewrite_pattern`, but not both.
    pub(super) fn read(map: &FileMap<'_>, findings: &mut Findings) -> Option<Self> {
        let prefix = read_path(map, "prefix_rewrite", findings);
        let regex = Substitution::read(map, "regex_rewrite", findings);
        if map.has("prefix_rewrite") && map.has("regex_rewrite_pattern") {
            findings
                .problem(
                    &map.path_of("regex_rewrite_pattern"),
                    "the path is rewritten twice",
                )
                .help("keep `prefix_rewrite` or `regex_rewrite_pattern`");
        }
        prefix.map(Self::Prefix).or_else(|| regex.map(Self::Regex))
    }
}

impl Substitution {
    /// Reads `NAME_pattern` and `NAME_substitution`.
    fn read(map: &FileMap<'_>, name: &str, findings: &mut Findings) -> Option<Self> {
        let (pattern_key, replacement_key) =
            (format!("{name}_pattern"), format!("{name}_substitution"));
        let pattern = map.non_empty_string(&pattern_key, findings);
        let replacement = map.string(&replacement_key, findings);
        let Some(pattern) = pattern else {
            if replacement.is_some_and(|text| !text.is_empty()) {
                findings
                    .warning(
                        &map.path_of(&replacement_key),
                        format!("`{replacement_key}` has no effect without `{pattern_key}`"),
                    )
                    .help(format!("add `{pattern_key}`"));
            }
            return None;
        };
        let pattern = compile(&pattern, &map.path_of(&pattern_key), findings)?;
        let key_path = map.path_of(&replacement_key);
        let written = replacement.unwrap_or_default();
        let replacement = translate(&written, pattern.captures_len());
        if let Err(reason) = &replacement {
            findings
                .problem(&key_path, format!("{} {reason}", quoted(&written)))
                .help("write `\\1` for the first group, `\\0` for the whole match, and `\\\\` for a backslash");
        }
        Some(Self {
            pattern,
            replacement: replacement.ok()?,
        })
    }
}

/// Translates a replacement from RE2's syntax to that of [`Regex::replace_all`]. `groups` counts the whole match as one.
fn translate(written: &str, groups: usize) -> Result<String, &'static str> {
    let mut replacement = String::with_capacity(written.len());
    let mut chars = written.chars();
    while let Some(c) = chars.next() {
        match c {
            '$' => replacement.push_str("$$"),
            '\\' => match chars.next() {
                Some('\\') => replacement.push('\\'),
                Some(digit @ '0'..='9') => {
                    let group = digit
                        .to_digit(10)
                        .and_then(|group| usize::try_from(group).ok());
                    if group.is_none_or(|group| group >= groups) {
                        return Err("refers to a group that the pattern does not have");
                    }
                    replacement.push_str("${");
                    replacement.push(digit);
                    replacement.push('}');
                }
                _ => return Err("has a backslash that is not followed by a digit"),
            },
            c if c.is_control() => return Err("has a line break or another control character"),
            c => replacement.push(c),
        }
    }
    Ok(replacement)
}

/// Reads a replacement path: in canonical form and without a query, because the request's query is kept.
pub(super) fn read_path(map: &FileMap<'_>, key: &str, findings: &mut Findings) -> Option<String> {
    let text = map.non_empty_string(key, findings)?;
    is_plain(&text, &map.path_of(key), findings).then_some(text)
}

/// Returns whether a path is in canonical form, and reports a problem if not.
pub(super) fn is_plain(text: &str, key_path: &KeyPath, findings: &mut Findings) -> bool {
    let plain = is_canonical(text);
    if !plain {
        findings
            .problem(
                key_path,
                format!("{} is not a normalized path", quoted(text)),
            )
            .help(plain_form_help(text));
    }
    plain
}

/// Reads a host, optionally with a port, as in a `Host` header.
fn read_host(map: &FileMap<'_>, key: &str, findings: &mut Findings) -> Option<String> {
    let text = map.non_empty_string(key, findings)?;
    let fits = is_authority(&text);
    if !fits {
        findings
            .problem(
                &map.path_of(key),
                format!("{} is not a host", quoted(&text)),
            )
            .help("write for example `app.internal` or `app.internal:8080`");
    }
    fits.then_some(text)
}

/// Returns whether a string is a host, optionally with a port, without scheme, path or user.
pub(super) fn is_authority(text: &str) -> bool {
    const LONGEST: usize = 255 + 6;
    text.len() <= LONGEST
        && !text.contains(['/', '\\', '@', '?', '#', '*'])
        && url::Url::parse(&format!("https://{text}")).is_ok()
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_are_translated() {
        for (written, groups, expected) in [
            ("", 1, Ok("")),
            ("/new", 1, Ok("/new")),
            (r"/\1x\2", 3, Ok("/${1}x${2}")),
            (r"\0", 1, Ok("${0}")),
            ("$1${1}", 2, Ok("$$1$${1}")),
            (r"a\\1", 2, Ok(r"a\1")),
        ] {
            assert_eq!(translate(written, groups).as_deref(), expected, "{written}");
        }
        for (written, groups) in [(r"\2", 2), (r"\n", 1), ("a\\", 1), ("a\nb", 1)] {
            assert!(translate(written, groups).is_err(), "{written}");
        }
    }

    #[test]
    fn translated_replacements_mean_the_same() {
        let pattern = Regex::new("^/a/([^/]+)/(.*)").unwrap();
        let replacement = translate(r"/\2-$1-\1", pattern.captures_len()).unwrap();
        assert_eq!(pattern.replace_all("/a/x/y/z", &replacement), "/y/z-$1-x");
    }

    #[test]
    fn hosts() {
        for text in ["app", "app.internal:8080", "[::1]:80", "10.0.0.1"] {
            assert!(is_authority(text), "{text}");
        }
        for text in [
            "",
            "https://app",
            "app/x",
            "u@app",
            "a b",
            "app:x",
            "app:99999",
            "é",
        ] {
            assert!(!is_authority(text), "{text}");
        }
    }
}
