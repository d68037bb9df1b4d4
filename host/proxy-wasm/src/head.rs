//! Message heads as the plugin sees them, and the plugin's verdicts about them.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::SystemTime;

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

/// Head of a request, with its pseudo headers as separate parts. The parts are valid by construction: a value is
/// checked when the plugin sets it, so that nothing invalid can be forwarded.
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

/// A reply that the plugin itself makes.
#[derive(Debug)]
pub struct LocalReply {
    /// Status code.
    pub status: StatusCode,
    /// Header fields without `content-length`; repeated fields (`set-cookie`) stay separate.
    pub headers: HeaderMap,
    /// The body, empty for statuses that have none.
    pub body: Bytes,
    /// The plugin's reason, for the access log. It is not sent to the client.
    pub details: String,
}

/// The plugin's decision about a head.
#[derive(Debug)]
#[must_use]
pub enum Verdict<Head> {
    /// Forward this head.
    Continue(Head),
    /// Send this reply; nothing is forwarded.
    Reply(LocalReply),
    /// Wait for `resumed` (or `response_resumed`).
    Paused,
    /// The plugin reset the stream: end it without an answer.
    Closed,
    /// There is no decision: answer 503.
    Failed,
}

/// Facts about one request that are not in its head.
#[derive(Debug)]
pub struct StreamFacts {
    /// When the head arrived.
    pub received: SystemTime,
    /// Protocol version that the client uses.
    pub version: Version,
    /// The client's address, as trusted proxies report it; port 0 when it comes from them.
    pub source: SocketAddr,
    /// The client's connection, shared by its requests.
    pub connection: Rc<ConnectionFacts>,
}

/// Facts about a client's connection.
#[derive(Debug)]
pub struct ConnectionFacts {
    /// Number of the connection, unique in this process.
    pub id: u64,
    /// The other end: a client, or a proxy in front of this one.
    pub peer: SocketAddr,
    /// This end.
    pub destination: SocketAddr,
    /// Present when the client uses TLS.
    pub tls: Option<TlsFacts>,
}

/// Facts about the client's TLS session.
#[derive(Debug)]
pub struct TlsFacts {
    /// Protocol version as Envoy writes it, e.g. `TLSv1.3`.
    pub version: &'static str,
    /// Server name indication (RFC 6066, 3), if the client sent one.
    pub server_name: Option<String>,
    /// The client's certificate, if the client has shown one. The handshake has verified it.
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
    /// Its description for the plugin, as the value of `x-forwarded-client-cert`.
    pub forwarded: HeaderValue,
}
