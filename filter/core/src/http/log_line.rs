//! Writes the log lines of decisions: the event, and the request that it is about.
//!
//! A client chooses most of the values. Each one is quoted, escaped and bounded; queries are left out, since they may
//! contain secrets. [`LogFields`] reads such a line again, for logs that have fields.

mod fields;

pub use fields::LogFields;

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::IpAddr;

use crate::http::path::split_query;
use crate::http::request::Request;

/// Longest value in characters. It holds an issuer, a path or the usual description of an error.
const MAX_VALUE: usize = 200;
/// The longest UTF-8 form of a character, in bytes.
const LONGEST_CHARACTER: usize = 4;
/// Stands for the rest of a value that is too long.
const CUT: &str = "...";

/// Quotes a value, escapes what could forge a line, and cuts what is too long.
pub(crate) fn quote(value: &str) -> String {
    let mut rest = value.chars();
    let kept: String = rest.by_ref().take(MAX_VALUE).collect();
    let end = if rest.next().is_some() { CUT } else { "" };
    format!("{kept:?}{end}")
}

/// Escapes and cuts a value like a quoted one, for a log that has a field of its own for it.
#[must_use]
pub fn escape(value: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if value.len() <= MAX_VALUE && value.bytes().all(is_plain) {
        return Cow::Borrowed(value);
    }
    let quoted = quote(value);
    let is_cut = quoted.ends_with(CUT);
    let inner = quoted.strip_suffix(CUT).unwrap_or(&quoted);
    let inner = inner.strip_prefix('"').unwrap_or(inner);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    Cow::Owned(format!("{inner}{}", if is_cut { CUT } else { "" }))
}

/// The part of a log line that describes a request, kept for lines that are written when its headers are gone. A request that cannot
/// be read has fewer values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestSummary {
    id: Option<String>,
    method: Option<String>,
    host: Option<String>,
    /// The path without its query.
    path: Option<String>,
}

impl RequestSummary {
    /// Copies the values of a request, each up to the length that a line has.
    #[must_use]
    pub fn of(request: &Request<'_>) -> Self {
        let host = request
            .first(":authority")
            .or_else(|| request.first("host"));
        let path = request.first(":path").map(shorten);
        Self {
            id: request.id().map(str::to_owned),
            method: request.first(":method").map(shorten),
            host: host.map(shorten),
            path: path.map(|mut path| {
                let end = split_query(&path).0.len();
                path.truncate(end);
                path
            }),
        }
    }
}

/// Copies the beginning of a value, with one character more than a line has, so that the line shows that it was cut.
fn shorten(value: &[u8]) -> String {
    // Nearly every value is as short as a line allows. A string has no more characters than bytes.
    if value.len() <= MAX_VALUE
        && let Ok(whole) = std::str::from_utf8(value)
    {
        return whole.to_owned();
    }
    let kept = value.get(..(MAX_VALUE + 1) * LONGEST_CHARACTER);
    let kept = String::from_utf8_lossy(kept.unwrap_or(value));
    kept.chars().take(MAX_VALUE + 1).collect()
}

/// The log line of a decision about a request: an event, the reply's status and the account, then the request as
/// `key=value`.
#[derive(Clone, Copy, Debug)]
pub struct DecisionLine<'a> {
    /// The event: one line without secrets.
    pub event: &'a str,
    /// The HTTP status of the reply, if there is one.
    pub status: Option<u16>,
    /// The account of the user, if one is signed in.
    pub account: Option<&'a str>,
    /// The request.
    pub request: &'a RequestSummary,
    /// The client's address as the proxy trusts it, if it is known.
    pub client: Option<IpAddr>,
}

impl fmt::Display for DecisionLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = self.request;
        f.write_str(self.event)?;
        if let Some(status) = self.status {
            write!(f, " status={status}")?;
        }
        write_value(f, "account", self.account)?;
        write_value(f, "request_id", request.id.as_deref())?;
        if let Some(client) = self.client {
            write!(f, " client={client}")?;
        }
        write_value(f, "method", request.method.as_deref())?;
        write_value(f, "host", request.host.as_deref())?;
        write_value(f, "path", request.path.as_deref())
    }
}

fn write_value(f: &mut fmt::Formatter<'_>, name: &str, value: Option<&str>) -> fmt::Result {
    let Some(value) = value else {
        return Ok(());
    };
    f.write_char(' ')?;
    f.write_str(name)?;
    write!(f, "={}", quote(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(headers: &[(&str, &[u8])], client: Option<&str>) -> String {
        let headers: Vec<(String, Vec<u8>)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
            .collect();
        let line = DecisionLine {
            event: "refused: forbidden",
            status: Some(403),
            account: client.map(|_| "mallory@evil.test"),
            request: &RequestSummary::of(&Request::new(&headers)),
            client: client.map(|client| client.parse().unwrap()),
        };
        line.to_string()
    }

    #[test]
    fn a_line_names_the_request_without_its_query() {
        let headers: &[(&str, &[u8])] = &[
            (":method", b"GET"),
            (":authority", b"app.test"),
            (":path", b"/private?token=secret"),
            ("x-request-id", b"id-1"),
            ("cookie", b"secret"),
        ];
        assert_eq!(
            describe(headers, Some("203.0.113.9")),
            r#"refused: forbidden status=403 account="mallory@evil.test" request_id="id-1" client=203.0.113.9 method="GET" host="app.test" path="/private""#
        );
        assert_eq!(describe(&[], None), "refused: forbidden status=403");
    }

    #[test]
    fn a_value_is_cut_at_characters_and_not_at_bytes() {
        let kept = "ö".repeat(MAX_VALUE);
        assert_eq!(shorten(kept.as_bytes()), kept);
        let long = "ö".repeat(MAX_VALUE + 2);
        assert_eq!(shorten(long.as_bytes()), "ö".repeat(MAX_VALUE + 1));
        assert_eq!(shorten(b"a\xff"), "a\u{fffd}");
    }

    #[test]
    fn no_client_forges_or_fills_a_line() {
        let long = [b"/".as_slice(), &[b'a'; 10_000]].concat();
        let headers: &[(&str, &[u8])] = &[
            (":method", b"G\" client=1.2.3.4"),
            ("host", b"a\r\nb\x1b[0m\xff"),
            (":path", &long),
        ];
        let line = describe(headers, None);
        let start =
            r#"refused: forbidden status=403 method="G\" client=1.2.3.4" host="a\r\nb\u{1b}[0m"#;
        assert!(line.starts_with(start), "{line}");
        assert!(line.ends_with("a\"...") && line.len() < 400, "{line}");
    }

    #[test]
    fn a_value_of_its_own_is_escaped_and_bounded_like_a_quoted_one() {
        assert_eq!(escape("o'brien@corp.test"), "o'brien@corp.test");
        assert_eq!(escape("jörg@corp.test"), "jörg@corp.test");
        assert_eq!(escape("a\r\n\"b\\"), r#"a\r\n\"b\\"#);
        assert_eq!(escape(&"a".repeat(201)), format!("{}...", "a".repeat(200)));
    }
}
