//! The websocket handshake (RFC 6455, 4.2): what the client may ask, and what the upstream must answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Version;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use jetway_core::http::websocket;
use jetway_core::refusal::Refusal;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::hop_by_hop::{single, tokens};
use crate::answer::Fault;

/// Appended to the key to make the answer (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's valid wish for a websocket.
#[derive(Debug)]
pub(super) struct Handshake {
    accept: String,
}

/// Whether the request asks for a websocket: `None` for requests that ask for nothing or for another protocol, whose
/// `Upgrade` is then removed together with the other fields of the connection.
///
/// # Errors
/// A wish that is not a valid handshake.
pub(super) fn handshake(request: &Parts) -> Result<Option<Handshake>, Fault> {
    let headers = &request.headers;
    if request.version != Version::HTTP_11 || !asks_for_websocket(headers) {
        return Ok(None);
    }
    let length = headers.get(header::CONTENT_LENGTH);
    let key = single(headers, &header::SEC_WEBSOCKET_KEY);
    let said = websocket::Handshake {
        method: request.method.as_str(),
        version: single(headers, &header::SEC_WEBSOCKET_VERSION),
        key,
        has_body: headers.contains_key(header::TRANSFER_ENCODING)
            || length.is_some_and(|length| length.as_bytes() != b"0"),
    };
    said.check().map_err(fault_of)?;
    Ok(Some(Handshake {
        accept: accept(key.unwrap_or_default()),
    }))
}

fn fault_of(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::WebsocketVersion => Fault::WebsocketVersion,
        Refusal::BadRequest(what) => Fault::Malformed(what.words()),
        _ => Fault::Malformed("a websocket is opened with GET"),
    }
}

impl Handshake {
    /// Puts back the fields of the connection that make an upgrade, which were removed with all others of the kind.
    pub(super) fn restore(headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }

    /// Whether a 101 answer is the answer to this handshake. Anything else that is written into the connection would be
    /// taken for another protocol.
    pub(super) fn is_accepted_by(&self, headers: &HeaderMap) -> bool {
        asks_for_websocket(headers)
            && single(headers, &header::SEC_WEBSOCKET_ACCEPT) == Some(self.accept.as_bytes())
    }
}

fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::CONNECTION).iter();
    let upgrades = lists
        .flat_map(|list| tokens(list.as_bytes()))
        .any(|token| token.eq_ignore_ascii_case(b"upgrade"));
    upgrades
        && single(headers, &header::UPGRADE)
            .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
}

fn accept(key: &[u8]) -> String {
    // SHA-1 is what the protocol prescribes; nothing here depends on its strength.
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

    fn status(changes: &[(&str, Option<&str>)]) -> u16 {
        handshake(&parts(changes)).map_or_else(
            |fault| fault.status().as_u16(),
            |found| if found.is_some() { 101 } else { 0 },
        )
    }

    #[test]
    fn handshakes() {
        assert_eq!(status(&[]), 101);
        assert_eq!(status(&[("upgrade", Some("h2c"))]), 0);
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
        assert_eq!(handshake(&post).err().unwrap().status().as_u16(), 400);
        let mut http2 = parts(&[]);
        http2.version = Version::HTTP_2;
        assert!(handshake(&http2).unwrap().is_none());
    }

    #[test]
    fn the_answer_must_fit_the_key() {
        let handshake = handshake(&parts(&[])).unwrap().unwrap();
        let answer = |accept: &[&str]| {
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
        assert!(handshake.is_accepted_by(&answer(&[ACCEPT])));
        assert!(!handshake.is_accepted_by(&answer(&[])));
        assert!(!handshake.is_accepted_by(&answer(&[KEY])));
        assert!(!handshake.is_accepted_by(&answer(&[ACCEPT, ACCEPT])));
        let mut without_upgrade = answer(&[ACCEPT]);
        without_upgrade.remove("upgrade");
        assert!(!handshake.is_accepted_by(&without_upgrade));
    }
}
