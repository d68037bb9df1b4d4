//! Requests as they are sent, and the connections on which they are sent.

use std::fmt;
use std::net::Ipv4Addr;

use super::head::escaped;
use super::recorder::{CASE, CLIENT_FRAME};

/// Protocol of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, byte by byte.
    Http1,
    /// HTTP/2, frame by frame.
    Http2,
}

/// Several requests on one connection.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The protocol.
    pub protocol: Protocol,
    /// The name that TLS asks for.
    pub server_name: &'static str,
    /// The client's address on this machine.
    pub source: Ipv4Addr,
    /// Bytes before TLS: a PROXY protocol header.
    pub preface: Vec<u8>,
    /// The requests, in order. Each waits for the answer to the one before, unless it is pipelined.
    pub requests: Vec<Request>,
}

/// Bytes behind a handshake; not sent over HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Early {
    /// Nothing.
    None,
    /// A frame of the WebSocket.
    Frame,
    /// A request with the number of the handshake, which a proxy could take for one of the connection.
    Request,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target, which follows the method.
    pub target: String,
    /// `HTTP/1.1`, usually; not sent over HTTP/2.
    pub version: &'static str,
    /// `Host` or `:authority`, if there is one.
    pub authority: Option<String>,
    /// Header fields in order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Whole lines behind the fields, without line ends; not sent over HTTP/2.
    pub lines: Vec<Vec<u8>>,
    /// The end of each line of the head.
    pub line_end: &'static str,
    /// The bytes before the request line.
    pub leading: &'static str,
    /// Lines that say how long the body is; not sent over HTTP/2.
    pub framing: Vec<String>,
    /// The body as it is sent, chunks included.
    pub body: Vec<u8>,
    /// Fields behind the body; not sent over HTTP/1.1, where they are part of the body.
    pub trailers: &'static [(&'static str, &'static str)],
    /// The bytes that a client sends behind a handshake without waiting for its answer.
    pub early: Early,
    /// Sent after a 101.
    pub tunnelled: Vec<u8>,
    /// Whether it is sent together with the request before.
    pub pipelined: bool,
}

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &str, authority: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: "HTTP/1.1",
            authority: Some(authority.to_owned()),
            fields: Vec::new(),
            lines: Vec::new(),
            line_end: "\r\n",
            leading: "",
            framing: Vec::new(),
            body: Vec::new(),
            trailers: &[],
            early: Early::None,
            tunnelled: Vec::new(),
            pipelined: false,
        }
    }

    /// The same with one more field.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.add(name, value);
        self
    }

    /// Adds a field.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.fields
            .push((name.to_owned(), value.as_ref().to_owned()));
    }

    /// Whether it has a field of this name, which is in small letters.
    #[must_use]
    pub fn has_field(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The values of its fields of this name.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let fields = self.fields.iter();
        let of_name = fields.filter(move |(own, _)| own.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_slice())
    }

    /// The same with a body that these lines frame.
    #[must_use]
    pub fn framed(mut self, lines: &[&str], body: &[u8]) -> Self {
        self.frame(lines, body);
        self
    }

    /// Replaces body and framing.
    pub fn frame(&mut self, lines: &[&str], body: &[u8]) {
        self.framing = lines.iter().map(|line| (*line).to_owned()).collect();
        self.body = body.to_owned();
    }

    /// The bytes of HTTP/1.1.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let end = self.line_end.as_bytes();
        let mut bytes = self.leading.as_bytes().to_owned();
        let separator = if self.version.is_empty() { "" } else { " " };
        let first = format!("{} {}{separator}{}", self.method, self.target, self.version);
        let mut push = |line: &[u8]| {
            bytes.extend_from_slice(line);
            bytes.extend_from_slice(end);
        };
        push(&latin1(&first));
        if let Some(authority) = &self.authority {
            push(&latin1(&format!("Host: {authority}")));
        }
        for (name, value) in &self.fields {
            push(&[name.as_bytes(), b": ", value].concat());
        }
        for line in &self.lines {
            push(line);
        }
        for line in &self.framing {
            push(line.as_bytes());
        }
        push(b"");
        bytes.extend_from_slice(&self.body);
        bytes.extend(self.early_bytes());
        bytes
    }

    /// The bytes that are sent behind the request without waiting for its answer.
    pub(crate) fn early_bytes(&self) -> Vec<u8> {
        match self.early {
            Early::None => Vec::new(),
            Early::Frame => CLIENT_FRAME.to_owned(),
            Early::Request => {
                let mut numbers = self.fields.iter().filter(|(name, _)| name == CASE);
                let number = numbers.next().map_or(&b""[..], |(_, value)| value);
                let head = "GET /public/early HTTP/1.1\r\nHost: ";
                let host = self.authority.as_deref().unwrap_or_default();
                let number = [format!("\r\n{CASE}: ").as_bytes(), number].concat();
                [&latin1(&format!("{head}{host}")), &number[..], b"\r\n\r\n"].concat()
            }
        }
    }
}

impl fmt::Display for Request {
    /// The request as HTTP/1.1 would write it, whatever it is sent over.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&escaped(&self.bytes()))?;
        for (name, value) in self.trailers {
            write!(formatter, "\r\n(trailer) {name}: {value}")?;
        }
        Ok(())
    }
}

/// Each character as one byte, so that generators can write bytes beyond ASCII as `\u{e9}`.
pub(crate) fn latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?'))
        .collect()
}
