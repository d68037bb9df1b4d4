//! Checks requests that change the protocol of a connection (RFC 6455).

use crate::config::Route;
use crate::http::request::Parsed;
use crate::http::websocket::Handshake;
use crate::refusal::Refusal;

/// Returns why a permitted request may not change its protocol, when it asks to and may not.
pub(super) fn refused_upgrade(request: &Parsed<'_>, route: &Route) -> Option<Refusal> {
    let upgrade = request.upgrade?;
    if !route.allow_websockets || !upgrade.eq_ignore_ascii_case(b"websocket") {
        return Some(Refusal::UpgradeNotAllowed);
    }
    // Browsers let any page open a WebSocket with this site's cookies (RFC 6455 section 10.2).
    let here = request.authority.origin();
    if request
        .origin
        .is_some_and(|origin| origin != here.as_bytes())
    {
        return Some(Refusal::ForeignOrigin);
    }
    let handshake = Handshake {
        method: request.method,
        version: request.websocket_version,
        key: request.websocket_key,
        has_body: request.has_body,
    };
    handshake.check().err()
}
