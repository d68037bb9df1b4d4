//! The canonical form of a request's path, which routes, policies and upstreams use.

use std::borrow::Cow;

/// Longest `:path` that is accepted; browsers and servers use far shorter ones.
pub const MAX_PATH: usize = 16 * 1024;

/// The reason why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// The path is empty, longer than [`MAX_PATH`], or does not begin with a slash.
    Shape,
    /// The path has a control character, a space, `#` or a byte above 0x7e that is not percent-encoded.
    Character,
    /// The path has a `%` without two hexadecimal digits, or escapes that are not UTF-8.
    Escape,
    /// Servers disagree about the meaning of the path: it has an encoded slash, backslash or control character, a dot segment
    /// with a parameter (`/..;/`), or a `%3B` that is in front of a `;` or in another segment.
    Ambiguous,
}

/// Returns the canonical form of `:path`, which routes and policies match and the upstream gets.
///
/// Dot segments are resolved, repeated slashes merged, and backslashes treated as slashes. Every character that is allowed in
/// a path segment (`pchar` of RFC 3986 section 3.3) is literal, and every other one is an escape in upper case: servers decode a
/// path before they use it, so that `/users%3Adelete` means `/users:delete`. Only `;` stays as it was sent, literal or as `%3B`,
/// because Java servers look for parameters before they decode. The query does not change.
///
/// # Errors
/// The path has no single meaning, see [`BadPath`].
pub fn canonical(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    if raw.len() > MAX_PATH || !raw.starts_with('/') {
        return Err(BadPath::Shape);
    }
    if !raw.bytes().all(is_allowed) {
        return Err(BadPath::Character);
    }
    let (path, query) = split_query(raw);
    if is_plain(path) {
        return Ok(Cow::Borrowed(raw));
    }
    let unescaped = unescape(path)?;
    if has_dot_segment_with_parameter(&unescaped) {
        return Err(BadPath::Ambiguous);
    }
    let mut canonical = resolve(unescaped.split('/'));
    if has_third_reading(&canonical) {
        return Err(BadPath::Ambiguous);
    }
    if let Some(query) = query {
        canonical.push('?');
        canonical.push_str(query);
    }
    // An escape is longer than its character.
    if canonical.len() > MAX_PATH {
        return Err(BadPath::Shape);
    }
    Ok(Cow::Owned(canonical))
}

/// `;` as an escape in a canonical path.
const ESCAPED_SEMICOLON: &str = "%3B";

/// Removes the parameters of a canonical path: what follows a `;` in a segment, as Java servers do. Returns `None` for a path
/// without parameters. Such a server may look for parameters before or after it decodes the path, so that `%3B` counts as well.
#[must_use]
pub(crate) fn without_parameters(path: &str) -> Option<String> {
    remove_parameters(path, name_before_parameter)
}

/// Removes the parameters of a decoded path ([`decode`]), in which a `%3B` was `%253B`.
#[must_use]
pub(crate) fn without_decoded_parameters(path: &str) -> Option<String> {
    remove_parameters(path, name_before_semicolon)
}

/// Returns whether a server that looks for parameters before it decodes interprets a canonical path in a third way, neither
/// literally nor like [`without_parameters`]: a parameter is removed, and a `%3B` stays.
fn has_third_reading(path: &str) -> bool {
    let read = remove_parameters(path, name_before_semicolon);
    read.is_some_and(|read| read.contains(ESCAPED_SEMICOLON))
}

fn remove_parameters(path: &str, name: fn(&str) -> Option<&str>) -> Option<String> {
    // Both kinds of parameters have one of these characters, which nearly no path has.
    let may_have_parameter = path.bytes().any(|byte| matches!(byte, b';' | b'%'));
    if !may_have_parameter || !path.split('/').any(|segment| name(segment).is_some()) {
        return None;
    }
    let names = path
        .split('/')
        .map(|segment| name(segment).unwrap_or(segment));
    Some(resolve(names))
}

/// Returns the part of a segment before its first `;`, if it has one.
fn name_before_semicolon(segment: &str) -> Option<&str> {
    Some(segment.split_once(';')?.0)
}

/// Returns the part of a segment before its parameter, if it has one, whose `;` may be escaped.
fn name_before_parameter(segment: &str) -> Option<&str> {
    let literal = segment.find(';');
    let escaped = segment.find(ESCAPED_SEMICOLON);
    let end = literal.into_iter().chain(escaped).min()?;
    segment.get(..end)
}

/// Returns whether a rewritten path may be sent to an upstream. It must contain nothing that [`canonical`] refuses, and nothing
/// that an upstream could resolve into another path or interpret as a host (`//host/path`, RFC 3986 section 4.2). Repeated
/// slashes elsewhere are allowed: they come from the operator's configuration.
#[must_use]
pub(crate) fn is_sendable(raw: &str) -> bool {
    let is_absolute = raw.starts_with('/') && !raw.starts_with("//");
    if raw.len() > MAX_PATH || !is_absolute || !raw.bytes().all(is_allowed) {
        return false;
    }
    let (path, _) = split_query(raw);
    if is_plain(path) {
        return true;
    }
    !path.contains('\\')
        && unescape(path).is_ok_and(|unescaped| {
            !has_dot_segment_with_parameter(&unescaped)
                && !unescaped
                    .split('/')
                    .any(|segment| matches!(segment, "." | ".."))
        })
}

/// Returns whether a byte is allowed in `:path`.
fn is_allowed(byte: u8) -> bool {
    (0x21..=0x7e).contains(&byte) && byte != b'#'
}

/// Splits `:path` into path and query, the query without its `?`.
#[must_use]
pub fn split_query(raw: &str) -> (&str, Option<&str>) {
    match raw.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (raw, None),
    }
}

/// Percent-decodes a canonical path, which is UTF-8.
#[must_use]
pub fn decode(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let value = match byte {
            b'%' => match (hex(bytes.next()), hex(bytes.next())) {
                (Ok(high), Ok(low)) => high << 4 | low,
                _ => b'%',
            },
            other => other,
        };
        decoded.push(value);
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// Returns whether a character is allowed in a path segment without an escape (`pchar`, RFC 3986 section 3.3).
const fn is_literal(byte: u8) -> bool {
    let is_unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let is_delimiter = matches!(
        byte,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
    );
    is_unreserved || is_delimiter || matches!(byte, b':' | b'@')
}

/// Returns whether a path surely is canonical, which is true for nearly every request.
fn is_plain(path: &str) -> bool {
    let mut previous = 0;
    for byte in path.bytes() {
        let suspicious = !(byte == b'/' || is_literal(byte))
            || (previous == b'/' && matches!(byte, b'/' | b'.'));
        if suspicious {
            return false;
        }
        previous = byte;
    }
    true
}

/// Writes each character in its canonical form. The result is ASCII.
fn unescape(path: &str) -> Result<String, BadPath> {
    let mut text = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let value = hex(bytes.next())? << 4 | hex(bytes.next())?;
                decoded.push(value);
                if matches!(value, b'/' | b'\\' | 0x00..=0x1f | 0x7f) {
                    return Err(BadPath::Ambiguous);
                }
                if value == b';' {
                    text.push_str(ESCAPED_SEMICOLON);
                } else {
                    push(&mut text, value);
                }
            }
            b'/' | b'\\' => {
                decoded.push(b'/');
                text.push('/');
            }
            other => {
                decoded.push(other);
                push(&mut text, other);
            }
        }
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(BadPath::Escape);
    }
    Ok(text)
}

/// Appends a character of a segment, escaped if a literal one is not allowed there.
fn push(text: &mut String, value: u8) {
    if is_literal(value) {
        text.push(char::from(value));
    } else {
        text.extend(escape(value).map(char::from));
    }
}

/// Returns the escape of a byte (RFC 3986 section 2.1), in upper case.
pub(crate) fn escape(byte: u8) -> [u8; 3] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS[usize::from(value & 0xf)];
    [b'%', digit(byte >> 4), digit(byte)]
}

fn hex(digit: Option<u8>) -> Result<u8, BadPath> {
    match digit {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(BadPath::Escape),
    }
}

/// Returns whether a segment is a dot segment with a parameter: `..;x` is a dot segment for some servers (Tomcat, Envoy) and a name
/// for others.
fn has_dot_segment_with_parameter(path: &str) -> bool {
    path.split('/')
        .filter_map(name_before_parameter)
        .any(|name| matches!(name, "." | ".."))
}

/// Removes dot segments and empty segments (RFC 3986 section 5.2.4).
fn resolve<'s>(segments: impl Iterator<Item = &'s str>) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut directory = false;
    for segment in segments {
        directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let length = kept.iter().map(|segment| segment.len() + 1).sum::<usize>();
    let mut resolved = String::with_capacity(length + 1);
    for segment in &kept {
        resolved.push('/');
        resolved.push_str(segment);
    }
    if directory || kept.is_empty() {
        resolved.push('/');
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_paths_are_borrowed() {
        for path in [
            "/",
            "/a/b.c?x=//../%zz|%3a",
            "/cockpit/@localhost/a..b",
            "/-._~!$&'()*+,;=:@",
        ] {
            assert!(
                matches!(canonical(path), Ok(Cow::Borrowed(same)) if same == path),
                "{path}"
            );
        }
    }

    #[test]
    fn one_form() {
        for (raw, expected) in [
            ("/public/../admin", "/admin"),
            ("/./admin", "/admin"),
            ("//admin", "/admin"),
            ("/public//../admin", "/admin"),
            ("/public/%2e%2e/admin", "/admin"),
            ("/public/.%2E/admin?q=%2e", "/admin?q=%2e"),
            ("/%61dmin", "/admin"),
            ("/a\\..\\b", "/b"),
            ("/..", "/"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/%c3%a9", "/%C3%A9"),
            ("/%252e%252e/admin", "/%252e%252e/admin"),
            ("/%253A", "/%253A"),
            ("/v1/users%3Adelete", "/v1/users:delete"),
            ("/v1/users%3adelete?a=%3a", "/v1/users:delete?a=%3a"),
            ("/%2D%2E%5F%7E", "/-._~"),
            (
                "/%21%24%26%27%28%29%2A%2B%2C%3B%3D%3a%40",
                "/!$&'()*+,%3B=:@",
            ),
            ("/files/a%3bb", "/files/a%3Bb"),
            ("/files;a/b;c%3b", "/files;a/b;c%3B"),
            ("/a;b/../c%3Bd", "/c%3Bd"),
            ("/%253B", "/%253B"),
            ("/%20%22%23%3c%3e%3f", "/%20%22%23%3C%3E%3F"),
            ("/\"<>[]^`{|}", "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D"),
            ("/%5b%7c%5D", "/%5B%7C%5D"),
        ] {
            assert_eq!(canonical(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn parameters_are_left_out() {
        for (path, expected) in [
            ("/a", None),
            ("/admin;x", Some("/admin")),
            ("/admin;", Some("/admin")),
            ("/admin;/", Some("/admin/")),
            ("/;x/admin", Some("/admin")),
            ("/a;b=1;c/d;e/f", Some("/a/d/f")),
            ("/a/;x", Some("/a/")),
            ("/;", Some("/")),
            ("/a%3Bb", Some("/a")),
            ("/a%3Bb;c/d;e%3Bf/%253B", Some("/a/d/%253B")),
        ] {
            assert_eq!(without_parameters(path).as_deref(), expected, "{path}");
        }
        for (path, expected) in [
            ("/a;b/c", Some("/a/c")),
            ("/a%3Bb", None),
            ("/a;b/%3Bc", Some("/a/%3Bc")),
        ] {
            let read = without_decoded_parameters(path);
            assert_eq!(read.as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn decoded() {
        for (path, expected) in [("/a", "/a"), ("/a%20b", "/a b"), ("/%C3%A9%25", "/\u{e9}%")] {
            assert_eq!(decode(path), expected);
        }
    }

    #[test]
    fn refused() {
        for (raw, why) in [
            ("", BadPath::Shape),
            ("*", BadPath::Shape),
            ("admin", BadPath::Shape),
            ("/a b", BadPath::Character),
            ("/a#b", BadPath::Character),
            ("/\u{e9}", BadPath::Character),
            ("/%zz", BadPath::Escape),
            ("/%", BadPath::Escape),
            ("/%c0%ae%c0%ae/", BadPath::Escape),
            ("/public/..;/admin", BadPath::Ambiguous),
            ("/public/%2e%2e;x/admin", BadPath::Ambiguous),
            ("/public/..%3bx/admin", BadPath::Ambiguous),
            ("/.;/admin", BadPath::Ambiguous),
            ("/;x/a%3Bb", BadPath::Ambiguous),
            ("/a%3bb;x", BadPath::Ambiguous),
            ("/a%3bb/c;x?y", BadPath::Ambiguous),
            ("/a%2fb", BadPath::Ambiguous),
            ("/a%5Cb", BadPath::Ambiguous),
            ("/admin%00", BadPath::Ambiguous),
        ] {
            assert_eq!(canonical(raw), Err(why), "{raw}");
        }
        assert_eq!(
            canonical(&format!("/{}", "a".repeat(MAX_PATH))),
            Err(BadPath::Shape)
        );
        assert_eq!(
            canonical(&format!("/{}", "|".repeat(MAX_PATH / 2))),
            Err(BadPath::Shape)
        );
    }

    #[test]
    fn rewritten_paths() {
        for (raw, sendable) in [
            ("/", true),
            ("/a//b", true),
            ("//", false),
            ("//a", false),
            ("/%7Ea/%c3%a9", true),
            ("/a?/../#", false),
            ("/a?/../%zz", true),
            ("", false),
            ("a", false),
            ("?", false),
            ("/../a", false),
            ("/a/..", false),
            ("/%2e%2E/a", false),
            ("/./a", false),
            ("/..;x/a", false),
            ("/a\\b", false),
            ("/a%2fb", false),
            ("/a%", false),
            ("/a b", false),
            ("/a\r\n", false),
            ("/\u{e9}", false),
        ] {
            assert_eq!(is_sendable(raw), sendable, "{raw:?}");
        }
        assert!(!is_sendable(&format!("/{}", "a".repeat(MAX_PATH))));
    }

    proptest! {
        #[test]
        fn canonical_paths_can_be_sent(raw in "/[a-z%/.\\\\2-5a-fA-F;:|?]{0,40}") {
            if let Ok(canonical) = canonical(&raw) {
                prop_assert!(is_sendable(&canonical));
            }
        }

        #[test]
        fn canonical_is_stable(raw in "/[a-z%/.\\\\2-5a-fA-F;:|?]{0,40}") {
            if let Ok(once) = canonical(&raw) {
                let twice = canonical(&once).map(Cow::into_owned);
                prop_assert_eq!(twice.as_deref(), Ok(&*once));
                let (path, _) = split_query(&once);
                prop_assert!(path.starts_with('/') && !path.contains("//") && !path.contains('\\'));
                prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
                let escaped = path.replace('%', "").bytes().all(|byte| byte == b'/' || is_literal(byte));
                prop_assert!(escaped, "{}", path);
            }
        }

        #[test]
        fn any_path_is_read_without_a_panic(raw in ".{0,60}") {
            let _ = canonical(&raw);
        }
    }
}
