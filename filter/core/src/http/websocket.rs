//! Checks the opening handshake of a WebSocket (RFC 6455 section 4.1), in the module and in the proxy that runs it.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::refusal::{BadRequest, Refusal};

/// The only supported version of the protocol.
pub const VERSION: &str = "13";
/// Length of a decoded handshake key in bytes.
const KEY_BYTES: usize = 16;

/// The parts of a request that make a handshake.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handshake<'a> {
    /// The method.
    pub method: &'a str,
    /// The value of `Sec-WebSocket-Version`, if there is exactly one.
    pub version: Option<&'a [u8]>,
    /// The value of `Sec-WebSocket-Key`, if there is exactly one. Neither proxy accepts handshakes over HTTP/2, which have no
    /// key (RFC 8441 section 5).
    pub key: Option<&'a [u8]>,
    /// Whether the request has a body, or states that it has one.
    pub has_body: bool,
}

impl Handshake<'_> {
    /// Checks the handshake. A body is refused, because servers disagree whether it belongs to the tunnel.
    ///
    /// # Errors
    /// The request is no valid handshake.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.method != "GET" {
            return Err(Refusal::UpgradeNotAllowed);
        }
        if self.version != Some(VERSION.as_bytes()) {
            return Err(Refusal::WebsocketVersion);
        }
        if !self.key.is_some_and(is_key) {
            return Err(Refusal::BadRequest(BadRequest::WebsocketKey));
        }
        if self.has_body {
            return Err(Refusal::BadRequest(BadRequest::WebsocketBody));
        }
        Ok(())
    }
}

fn is_key(text: &[u8]) -> bool {
    STANDARD
        .decode(text)
        .is_ok_and(|key| key.len() == KEY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Handshake<'_> = Handshake {
        method: "GET",
        version: Some(b"13"),
        key: Some(b"dGhlIHNhbXBsZSBub25jZQ=="),
        has_body: false,
    };

    /// N-20
    #[test]
    fn only_whole_handshakes_pass() {
        let status = |handshake: Handshake<'_>| {
            handshake
                .check()
                .err()
                .map_or(101, |refusal| refusal.status())
        };
        assert_eq!(status(GOOD), 101);
        for (method, expected) in [("POST", 403), ("HEAD", 403)] {
            assert_eq!(status(Handshake { method, ..GOOD }), expected);
        }
        for version in [None, Some(&b"8"[..]), Some(b"")] {
            assert_eq!(status(Handshake { version, ..GOOD }), 426, "{version:?}");
        }
        for key in [None, Some(&b"c2hvcnQ="[..]), Some(b""), Some(b"\xff")] {
            assert_eq!(status(Handshake { key, ..GOOD }), 400, "{key:?}");
        }
        let has_body = true;
        assert_eq!(status(Handshake { has_body, ..GOOD }), 400);
    }
}
