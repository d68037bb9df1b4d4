//! The answers of the recorder.

use super::head::Head;
use super::recorder::ANSWER;

/// An answer, byte by byte.
pub(crate) struct Prepared {
    pub(crate) bytes: Vec<u8>,
    /// Whether the connection ends after it.
    pub(crate) closes: bool,
    /// Whether a tunnel follows.
    pub(crate) switches: bool,
}

/// An answer that the connection survives.
const KEPT: bool = false;
/// An answer that ends the connection.
const CLOSED: bool = true;

/// Names for `X-Answer`, what is answered, and whether the connection ends after it.
const ANSWERS: &[(&str, &str, bool)] = &[
    (
        "no-content",
        "HTTP/1.1 204 No Content\r\nX-Any: 1\r\n\r\n",
        KEPT,
    ),
    (
        "not-modified",
        "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
        KEPT,
    ),
    (
        "chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        KEPT,
    ),
    (
        "trailers",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n",
        KEPT,
    ),
    (
        "until-end",
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
        CLOSED,
    ),
    (
        "old",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        CLOSED,
    ),
    (
        "close",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        CLOSED,
    ),
    (
        "relative",
        "HTTP/1.1 302 Found\r\nLocation: ../elsewhere?a=b#c\r\nContent-Length: 0\r\n\r\n",
        KEPT,
    ),
    (
        "absolute",
        "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n",
        KEPT,
    ),
    (
        "cookies",
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie: __Host-_pomerium=mine; Path=/; Secure\r\nContent-Length: 0\r\n\r\n",
        KEPT,
    ),
    (
        "own-headers",
        "HTTP/1.1 200 OK\r\nServer: app\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nX-Powered-By: app\r\nX-Frame-Options: DENY\r\nVary: a\r\nVary: b\r\nContent-Length: 0\r\n\r\n",
        KEPT,
    ),
    (
        "hop-by-hop",
        "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nContent-Length: 0\r\n\r\n",
        KEPT,
    ),
    (
        "early-hints",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        KEPT,
    ),
    (
        "bytes",
        "HTTP/1.1 200 OK\r\nX-Bytes: caf\u{e9}\r\nContent-Length: 0\r\n\r\n",
        KEPT,
    ),
    (
        "failure",
        "HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 4\r\n\r\nbusy",
        KEPT,
    ),
    (
        "unauthorized",
        "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"app\"\r\nContent-Length: 0\r\n\r\n",
        KEPT,
    ),
    (
        "teapot",
        "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n",
        KEPT,
    ),
    (
        "head-length",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Encoding: gzip\r\nAccept-Ranges: bytes\r\n\r\n",
        KEPT,
    ),
    (
        "unasked-switch",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: odd\r\nConnection: Upgrade\r\n\r\n",
        CLOSED,
    ),
    (
        "two-lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        CLOSED,
    ),
    ("garbage", "not HTTP at all\r\n\r\n", CLOSED),
    ("nothing", "", CLOSED),
    ("half-head", "HTTP/1.1 200 OK\r\nX-An", CLOSED),
];

/// Every name for `X-Answer`.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ANSWERS.iter().map(|(name, ..)| *name)
}

/// The recorder's answer to a request.
pub(crate) fn answer_to(head: &Head) -> Prepared {
    let wanted = head.values(ANSWER).next().unwrap_or_default();
    // An answer to HEAD ends with its head.
    let is_head = head.first.starts_with("HEAD ");
    let known = ANSWERS.iter().find(|(name, answer, _)| {
        *name == wanted && (!is_head || answer.find("\r\n\r\n") == answer.len().checked_sub(4))
    });
    if let Some((_, answer, closes)) = known {
        return Prepared {
            bytes: super::request::latin1(answer),
            closes: *closes,
            switches: false,
        };
    }
    let upgrade = head
        .values("upgrade")
        .any(|value| value.eq_ignore_ascii_case("websocket"));
    let key = head.values("sec-websocket-key").next();
    if let (true, Some(key)) = (upgrade, key) {
        return switching(key);
    }
    let body = format!("seen {}", head.first);
    let length = body.len();
    Prepared {
        bytes: format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{}",
            if is_head { "" } else { &body }
        )
        .into_bytes(),
        closes: false,
        switches: false,
    }
}

fn switching(key: &str) -> Prepared {
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
    Prepared {
        bytes: format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes(),
        closes: false,
        switches: true,
    }
}
