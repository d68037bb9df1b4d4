//! Heads and bodies of HTTP/1.1 messages, read without judging them.

use http::Method;

use super::recorder::CASE;

/// First line and fields of a message, names in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Request line or status line.
    pub first: String,
    /// Fields in order.
    pub fields: Vec<(String, String)>,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(usize),
    /// After the last chunk.
    Chunked,
}

impl Head {
    /// Reads a head and says where it ends; `None` while it is not whole.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = find(bytes, b"\r\n\r\n")?;
        let text = escaped(bytes.get(..end)?);
        let mut lines = text.split("\r\n");
        let first = lines.next()?.to_owned();
        let fields = lines.map(|line| match line.split_once(':') {
            Some((name, value)) => (name.to_ascii_lowercase(), value.trim().to_owned()),
            None => (line.to_owned(), String::new()),
        });
        let fields = fields.collect();
        Some((Self { first, fields }, end + 4))
    }

    /// The values of a field.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = self.fields.iter().filter(move |(own, _)| own == name);
        of_name.map(|(_, value)| value.as_str())
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        self.first.split(' ').nth(1)?.parse().ok()
    }

    /// The case of a request, and its place in the conversation.
    pub(crate) fn case(&self) -> Option<(usize, usize)> {
        let (case, place) = self.values(CASE).next()?.split_once('.')?;
        Some((case.parse().ok()?, place.parse().ok()?))
    }

    pub(crate) fn framing(&self) -> Framing {
        let chunked = self
            .values("transfer-encoding")
            .any(|value| value.to_ascii_lowercase().contains("chunked"));
        if chunked {
            return Framing::Chunked;
        }
        let length = self.values("content-length").next();
        match length.and_then(|length| length.parse().ok()) {
            Some(length) => Framing::Length(length),
            None => Framing::None,
        }
    }

    /// Whether an answer to this method has a body at all (RFC 9112 section 6.3).
    pub(crate) fn has_body(&self, method: &str) -> bool {
        let status = self.status().unwrap_or_default();
        method != Method::HEAD.as_str() && !matches!(status, 100..=199 | 204 | 304)
    }
}

/// A body without its chunks, trailers included, and its length with them; `None` while it is not whole.
pub(crate) fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line = find(bytes.get(at..)?, b"\r\n")?;
        let size = String::from_utf8_lossy(bytes.get(at..at + line)?).into_owned();
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        at += line + 2;
        if size == 0 {
            break;
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
    }
    loop {
        let line = find(bytes.get(at..)?, b"\r\n")?;
        body.extend_from_slice(bytes.get(at..at + line)?);
        at += line + 2;
        if line == 0 {
            return Some((body, at));
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Bytes as a string in which those beyond ASCII are escapes, so that two heads can be compared and printed.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\r' | b'\n' | b'\t' | 0x20..=0x7e => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}
