//! The WebSocket handshake (RFC 6455, 4.2): what the client may request, and how the upstream has to respond.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use jetway_core::contract::TRANSFER_ENCODING_HEADER;
use jetway_core::http::websocket;
use jetway_core::refusal::Refusal;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::header_field::{find_single, split_tokens};
use crate::fault::Fault;

/// Appended to the key to compute `Sec-WebSocket-Accept` (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const WEBSOCKET: &[u8] = b"websocket";

/// Tells the plugin about a transfer coding, as Envoy's configuration does.
const TRANSFER_ENCODING: HeaderName = HeaderName::from_static(TRANSFER_ENCODING_HEADER);

/// A client's valid handshake.
#[derive(Debug)]
pub(super) struct Handshake {
    /// The `Sec-WebSocket-Accept` of the response.
    accept: String,
}

/// How a request asks for a WebSocket.
#[derive(Debug)]
pub(super) enum Opening {
    /// By a valid handshake.
    Valid(Handshake),
    /// By a handshake that is never forwarded. The plugin refuses it for the same reason, after its other decisions.
    Invalid(Fault),
}

impl Opening {
    /// Returns the handshake, once the plugin has decided.
    ///
    /// # Errors
    /// The handshake is not valid, and the plugin has permitted the request all the same.
    pub(super) fn check(self) -> Result<Handshake, Fault> {
        match self {
            Self::Valid(handshake) => Ok(handshake),
            Self::Invalid(fault) => Err(fault),
        }
    }

    /// Returns whether what follows the head of the request is no body.
    pub(super) fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }

    /// Restores the fields that make the plugin see a handshake, which were removed with the others of the connection.
    /// `is_coded` says whether the body of the request had a transfer coding.
    pub(super) fn show(headers: &mut HeaderMap, is_coded: bool) {
        Handshake::restore(headers);
        if is_coded {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}

/// Reads how a request asks for a WebSocket. `None` means that it asks for no upgrade, or for HTTP/2, which clients such as
/// curl offer and do not need; its `Upgrade` is then removed together with the other fields of the connection.
///
/// # Errors
/// The request asks for another protocol: it may go on in that without waiting.
pub(super) fn read_opening(request: &Parts) -> Result<Option<Opening>, Fault> {
    let headers = &request.headers;
    if !is_upgrade(request) {
        return Ok(None);
    }
    let protocol = find_single(headers, &header::UPGRADE).map(HeaderValue::as_bytes);
    if !protocol.is_some_and(|name| name.eq_ignore_ascii_case(WEBSOCKET)) {
        return Err(Fault::OtherUpgrade);
    }
    let read = |name| find_single(headers, &name).map(HeaderValue::as_bytes);
    let key = read(header::SEC_WEBSOCKET_KEY);
    let length = headers.get(header::CONTENT_LENGTH);
    let handshake = websocket::Handshake {
        method: request.method.as_str(),
        version: read(header::SEC_WEBSOCKET_VERSION),
        key,
        has_body: headers.contains_key(header::TRANSFER_ENCODING)
            || length.is_some_and(|length| length.as_bytes() != b"0"),
    };
    Ok(Some(match handshake.check() {
        Ok(()) => Opening::Valid(Handshake {
            accept: compute_accept(key.unwrap_or_default()),
        }),
        Err(refusal) => Opening::Invalid(to_fault(refusal)),
    }))
}

fn to_fault(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::WebsocketVersion => Fault::WebsocketVersion,
        Refusal::BadRequest(reason) => Fault::Malformed(reason.words()),
        _ => Fault::WebsocketForbidden,
    }
}

impl Handshake {
    /// Restores the fields that make an upgrade, which were removed with the others of the connection.
    pub(super) fn restore(headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }

    /// Returns whether a 101 response accepts this handshake. After any other response, the bytes of the connection could
    /// be taken for another protocol.
    pub(super) fn is_accepted_by(&self, headers: &HeaderMap) -> bool {
        let accept = find_single(headers, &header::SEC_WEBSOCKET_ACCEPT);
        is_websocket_upgrade(headers) && accept.is_some_and(|accept| accept == &self.accept)
    }
}

/// Returns whether the response that opens a WebSocket chooses this subprotocol.
pub(super) fn has_subprotocol(headers: &HeaderMap, name: &str) -> bool {
    let chosen = find_single(headers, &header::SEC_WEBSOCKET_PROTOCOL);
    chosen.is_some_and(|chosen| chosen == name)
}

/// Returns whether a request asks for another protocol on its connection, and may continue in it without waiting. HTTP/2 has
/// no such requests. An offer of HTTP/2 (`h2c`) is none: the client waits for the answer (RFC 7540 section 3.2).
pub(super) fn is_upgrade(request: &Parts) -> bool {
    let protocol = find_single(&request.headers, &header::UPGRADE);
    let is_offer = protocol.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"h2c"));
    request.version == Version::HTTP_11 && names_upgrade(&request.headers) && !is_offer
}

/// Returns whether there is an `Upgrade` that `Connection` names.
fn names_upgrade(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::CONNECTION).iter();
    let mut tokens = lists.flat_map(split_tokens);
    headers.contains_key(header::UPGRADE)
        && tokens.any(|token| token.eq_ignore_ascii_case(b"upgrade"))
}

fn is_websocket_upgrade(headers: &HeaderMap) -> bool {
    let protocol = find_single(headers, &header::UPGRADE);
    names_upgrade(headers)
        && protocol.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(WEBSOCKET))
}

fn compute_accept(key: &[u8]) -> String {
    // The protocol prescribes SHA-1; nothing here depends on its strength.
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Method, Request};

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn parts(changes: &[(&str, Option<&str>)]) -> Parts {
        let mut fields = vec![
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ];
        for (name, value) in changes {
            fields.retain(|(other, _)| other != name);
            fields.extend(value.map(|value| (*name, value)));
        }
        let request = fields
            .iter()
            .fold(Request::builder(), |request, (name, value)| {
                request.header(*name, *value)
            });
        request.body(()).unwrap().into_parts().0
    }

    /// The status of what a request asks for: 101 for a WebSocket, 0 for no upgrade.
    fn status(changes: &[(&str, Option<&str>)]) -> u16 {
        status_of(&parts(changes))
    }

    fn status_of(request: &Parts) -> u16 {
        match read_opening(request) {
            Ok(Some(Opening::Valid(_))) => 101,
            Ok(Some(Opening::Invalid(fault))) | Err(fault) => fault.status().as_u16(),
            Ok(None) => 0,
        }
    }

    #[test]
    fn handshakes() {
        assert_eq!(status(&[]), 101);
        assert_eq!(status(&[("upgrade", Some("h2c"))]), 0);
        assert_eq!(status(&[("upgrade", Some("H2C"))]), 0);
        assert_eq!(status(&[("upgrade", None)]), 0);
        assert_eq!(status(&[("connection", Some("close"))]), 0);
        assert_eq!(status(&[("sec-websocket-version", Some("8"))]), 426);
        assert_eq!(status(&[("sec-websocket-version", None)]), 426);
        assert_eq!(status(&[("sec-websocket-key", Some("c2hvcnQ="))]), 400);
        assert_eq!(status(&[("sec-websocket-key", None)]), 400);
        assert_eq!(status(&[("transfer-encoding", Some("chunked"))]), 400);
        assert_eq!(status(&[("content-length", Some("5"))]), 400);
        assert_eq!(status(&[("content-length", Some("0"))]), 101);
        let mut post = parts(&[]);
        post.method = Method::POST;
        assert_eq!(status_of(&post), 403);
        let mut http2 = parts(&[]);
        http2.version = Version::HTTP_2;
        assert!(read_opening(&http2).unwrap().is_none());
    }

    /// As in Envoy, whose configuration names WebSockets only.
    #[test]
    fn other_protocols_are_refused() {
        for other in [
            "foo",
            "TLS/1.2",
            "websocket, h2c",
            "h2c, websocket",
            "websocket/13",
            "",
        ] {
            assert_eq!(status(&[("upgrade", Some(other))]), 403, "{other}");
            let unnamed = [("upgrade", Some(other)), ("connection", Some("close"))];
            assert_eq!(status(&unnamed), 0, "{other}");
        }
        let mut twice = parts(&[]);
        let again = HeaderValue::from_static("websocket");
        twice.headers.append(header::UPGRADE, again);
        assert_eq!(read_opening(&twice).err(), Some(Fault::OtherUpgrade));
    }

    #[test]
    fn a_response_chooses_one_subprotocol() {
        let chooses = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(
                    header::SEC_WEBSOCKET_PROTOCOL,
                    HeaderValue::from_static(value),
                );
            }
            has_subprotocol(&headers, "cockpit1")
        };
        assert!(chooses(&["cockpit1"]));
        assert!(!chooses(&[]));
        assert!(!chooses(&["binary"]));
        assert!(!chooses(&["cockpit1, binary"]));
        assert!(!chooses(&["cockpit1", "cockpit1"]));
    }

    #[test]
    fn the_response_must_match_the_key() {
        let opening = read_opening(&parts(&[])).unwrap().unwrap();
        let handshake = opening.check().unwrap();
        let response = |accept: &[&str]| {
            let mut headers = HeaderMap::new();
            Handshake::restore(&mut headers);
            for value in accept {
                headers.append(
                    "sec-websocket-accept",
                    HeaderValue::from_str(value).unwrap(),
                );
            }
            headers
        };
        assert!(handshake.is_accepted_by(&response(&[ACCEPT])));
        assert!(!handshake.is_accepted_by(&response(&[])));
        assert!(!handshake.is_accepted_by(&response(&[KEY])));
        assert!(!handshake.is_accepted_by(&response(&[ACCEPT, ACCEPT])));
        let mut without_upgrade = response(&[ACCEPT]);
        without_upgrade.remove("upgrade");
        assert!(!handshake.is_accepted_by(&without_upgrade));
    }
}
