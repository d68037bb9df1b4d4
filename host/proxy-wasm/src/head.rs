//! Message heads as the plugin sees them, and what it decided about them.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::SystemTime;

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

/// Head of a request, pseudo headers apart. Its parts are valid by construction, so what a plugin sets is checked when it
/// sets it and nothing invalid can be forwarded.
#[derive(Debug)]
pub struct RequestHead {
    /// `:method`.
    pub method: Method,
    /// `:scheme`, as the client used it.
    pub scheme: Scheme,
    /// `:authority`: the `Host` field's value. `headers` must not contain `host`; the plugin finds it here.
    pub authority: HeaderValue,
    /// `:path` with its query.
    pub path: PathAndQuery,
    /// The other fields.
    pub headers: HeaderMap,
}

/// Head of a response.
#[derive(Debug)]
pub struct ResponseHead {
    /// `:status`.
    pub status: StatusCode,
    /// The other fields.
    pub headers: HeaderMap,
}

/// The plugin's own answer.
#[derive(Debug)]
pub struct LocalReply {
    /// Status code.
    pub status: StatusCode,
    /// Header fields without `content-length`; repeated fields (`set-cookie`) stay apart.
    pub headers: HeaderMap,
    /// The body, empty for statuses that have none.
    pub body: Bytes,
    /// Why, in the plugin's words, for the access log. Not for the client.
    pub details: String,
}

/// What the plugin decided about a head.
#[derive(Debug)]
#[must_use]
pub enum Verdict<Head> {
    /// Send this head on.
    Continue(Head),
    /// Answer with this; nothing is forwarded.
    Reply(LocalReply),
    /// Wait for `resumed` (or `response_resumed`).
    Paused,
    /// The plugin reset the stream: end it without an answer.
    Closed,
    /// No decision could be had: answer 503.
    Failed,
}

/// Facts about one request that are not in its head.
#[derive(Debug)]
pub struct StreamFacts {
    /// When the head had arrived.
    pub received: SystemTime,
    /// Protocol that the client speaks.
    pub version: Version,
    /// The client, past the proxies in front that are believed; port 0 when it is their word.
    pub source: SocketAddr,
    /// The client's connection, shared by its requests.
    pub connection: Rc<ConnectionFacts>,
}

/// Facts about a client's connection.
#[derive(Debug)]
pub struct ConnectionFacts {
    /// Number of the connection, unique in this process.
    pub id: u64,
    /// The other end: a client, or a proxy in front.
    pub peer: SocketAddr,
    /// Our end.
    pub destination: SocketAddr,
    /// Present when the client speaks TLS to us.
    pub tls: Option<TlsFacts>,
}

/// Facts about the client's TLS session.
#[derive(Debug)]
pub struct TlsFacts {
    /// Protocol version in Envoy's words, e.g. `TLSv1.3`.
    pub version: &'static str,
    /// Server name indication (RFC 6066, 3), if the client sent one.
    pub server_name: Option<String>,
    /// The client's certificate, when it has shown one. It was checked in the handshake.
    pub certificate: Option<PeerCertificate>,
}

/// A client's valid certificate.
#[derive(Debug)]
pub struct PeerCertificate {
    /// SHA-256 of its DER, in lower-case hexadecimal digits.
    pub digest: String,
    /// Its first DNS name.
    pub dns_name: Option<String>,
    /// Its first URI.
    pub uri: Option<String>,
    /// How the plugin is told, as the value of `x-forwarded-client-cert`.
    pub forwarded: HeaderValue,
}
