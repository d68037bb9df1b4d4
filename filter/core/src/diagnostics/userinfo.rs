//! Masks passwords within addresses (`https://name:password@host`), which no message may repeat.

use std::ops::Range;

/// The replacement for a name and password.
const MASK: &str = "***";

/// Returns the byte range of the name and password in a value of the file: the part between `//` and `@` (RFC 3986 section
/// 3.2.1).
///
/// A password that is not encoded correctly may contain a `/` or an `@` itself. So everything up to the last `@` counts,
/// unless a whole host and port come before it, as in `https://a.example.com/@alice`.
#[must_use]
pub fn userinfo(value: &str) -> Option<Range<usize>> {
    let last = value.rfind('@')?;
    value
        .match_indices("//")
        .map(|(at, slashes)| at + slashes.len())
        .take_while(|start| *start <= last)
        .find(|start| value.get(*start..).is_some_and(begins_with_userinfo))
        .map(|start| start..last)
}

/// Returns whether the part after `//` is more than a plain host and port.
fn begins_with_userinfo(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let port = match authority.rsplit_once(']') {
        Some((_, port)) => port,
        None => authority.split_once(':').map_or("", |(_, port)| port),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    authority.contains('@') || !digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the value with its [`userinfo`] replaced by `***`.
#[must_use]
pub fn without_userinfo(value: &str) -> String {
    let mut masked = value.to_owned();
    if let Some(range) = userinfo(value) {
        masked.replace_range(range, MASK);
    }
    masked
}

/// Masks the [`userinfo`] of each value in backticks in a sentence.
#[must_use]
pub fn sentence_without_userinfo(sentence: &str) -> String {
    let pieces: Vec<String> = sentence.split('`').map(without_userinfo).collect();
    pieces.join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_masked() {
        for (value, expected) in [
            ("http://admin:pw@10.0.0.1:80", "http://***@10.0.0.1:80"),
            (
                "https://token@a.example.com/x",
                "https://***@a.example.com/x",
            ),
            ("http://a:p@ss/w?d@b", "http://***@b"),
            ("http://a:p/w@b", "http://***@b"),
            ("http://a,http://u:pw@b", "http://a,http://***@b"),
            ("//u:é`x@b", "//***@b"),
            ("http://***@b", "http://***@b"),
        ] {
            assert_eq!(without_userinfo(value), expected);
        }
    }

    #[test]
    fn other_addresses_stay() {
        for value in [
            "alice@example.com",
            "https://a.example.com/@alice",
            "https://a.example.com:8443/@alice",
            "http://[::1]:80/@alice",
            "https://a.example.com",
            "a@b//c",
            "//",
            "",
        ] {
            assert_eq!(without_userinfo(value), value);
        }
    }

    #[test]
    fn each_value_of_a_sentence_is_masked() {
        assert_eq!(
            sentence_without_userinfo("`http://u:pw@a` and `alice@a` are not `//x@b`"),
            "`http://***@a` and `alice@a` are not `//***@b`"
        );
    }
}
