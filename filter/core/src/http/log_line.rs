//! Writes the log lines of decisions: the event, and the request that it is about.
//!
//! A client chooses most of the values. Each one is quoted, escaped and bounded; queries are left out, since they may
//! contain secrets.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use crate::http::path::split_query;
use crate::http::request::Request;

/// Longest value in characters. It holds an issuer, a path or the usual description of an error.
const MAX_VALUE: usize = 200;

/// Quotes a value, escapes what could forge a line, and cuts what is too long.
pub(crate) fn quote(value: &str) -> String {
    let mut rest = value.chars();
    let kept: String = rest.by_ref().take(MAX_VALUE).collect();
    let end = if rest.next().is_some() { "..." } else { "" };
    format!("{kept:?}{end}")
}

/// The log line of a decision about a request: an event with its status, then the request as `key=value`. A request that
/// cannot be read any more has fewer values.
#[derive(Clone, Copy, Debug)]
pub struct DecisionLine<'a> {
    /// The event: one line without secrets.
    pub event: &'a str,
    /// The HTTP status of the reply.
    pub status: u16,
    /// The request.
    pub request: &'a Request<'a>,
    /// The client's address as the proxy trusts it, if it is known.
    pub client: Option<IpAddr>,
}

impl fmt::Display for DecisionLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = self.request;
        write!(f, "{} status={}", self.event, self.status)?;
        if let Some(id) = request.id() {
            write!(f, " request_id={}", quote(id))?;
        }
        if let Some(client) = self.client {
            write!(f, " client={client}")?;
        }
        let host = request
            .first(":authority")
            .or_else(|| request.first("host"));
        write_bytes(f, "method", request.first(":method"))?;
        write_bytes(f, "host", host)?;
        let target = request.first(":path").map(String::from_utf8_lossy);
        if let Some(target) = target {
            write!(f, " path={}", quote(split_query(&target).0))?;
        }
        Ok(())
    }
}

fn write_bytes(f: &mut fmt::Formatter<'_>, name: &str, value: Option<&[u8]>) -> fmt::Result {
    let Some(value) = value else {
        return Ok(());
    };
    f.write_char(' ')?;
    f.write_str(name)?;
    write!(f, "={}", quote(&String::from_utf8_lossy(value)))
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
            status: 403,
            request: &Request::new(&headers),
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
            r#"refused: forbidden status=403 request_id="id-1" client=203.0.113.9 method="GET" host="app.test" path="/private""#
        );
        assert_eq!(describe(&[], None), "refused: forbidden status=403");
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
}
