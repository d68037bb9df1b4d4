//! Who may change the protocol of a connection, and how (RFC 6455).

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::config::Route;
use crate::refusal::{BadRequest, Refusal};
use crate::request::Parsed;

/// The only version of the websocket protocol (RFC 6455 section 4.1).
pub(super) const WEBSOCKET_VERSION: &str = "13";
/// Bytes of a handshake's key, once decoded (RFC 6455 section 4.1).
const KEY_BYTES: usize = 16;

/// Why a permitted request may not change its protocol, when it asks to and may not.
pub(super) fn refused_upgrade(request: &Parsed<'_>, route: &Route) -> Option<Refusal> {
    let upgrade = request.upgrade?;
    // A handshake is a GET (RFC 6455 section 4.1).
    let is_handshake = request.method == "GET" && upgrade.eq_ignore_ascii_case(b"websocket");
    if !route.allow_websockets || !is_handshake {
        return Some(Refusal::UpgradeNotAllowed);
    }
    // Browsers let any page open a websocket with this site's cookies (RFC 6455 section 10.2).
    let here = request.authority.origin();
    if request
        .origin
        .is_some_and(|origin| origin != here.as_bytes())
    {
        return Some(Refusal::ForeignOrigin);
    }
    if request.websocket_version != Some(WEBSOCKET_VERSION.as_bytes()) {
        return Some(Refusal::WebsocketVersion);
    }
    // Over HTTP/2 a handshake has no key (RFC 8441 section 5).
    request
        .websocket_key
        .is_some_and(|key| !is_key(key))
        .then_some(Refusal::BadRequest(BadRequest::WebsocketKey))
}

fn is_key(text: &[u8]) -> bool {
    STANDARD
        .decode(text)
        .is_ok_and(|key| key.len() == KEY_BYTES)
}
