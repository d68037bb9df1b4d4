//! The assertion for one login to Cockpit, which `jetway-cockpit-session` verifies.

use std::net::IpAddr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::session::Session;
use crate::session::signing_key::AssertionKey;
use crate::session::unix_user::UnixUser;
use crate::time::Timestamp;

/// Type of the token (RFC 8725 section 3.11). Assertions for upstreams have another type, so that none of them is accepted as
/// a login.
const TYPE: &str = "jetway-cockpit+jwt";

/// For how many seconds the token is valid. Cockpit uses it at once.
const LIFETIME: u64 = 60;

/// One login: the signed-in user, the host, and the Unix user of the Cockpit session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login<'a> {
    /// The public host, without port.
    pub(crate) host: &'a str,
    /// The session of the signed-in user.
    pub(crate) session: &'a Session,
    /// The Unix user of the Cockpit session.
    pub(crate) user: &'a UnixUser,
    /// Whether the session gets administrative access.
    pub(crate) administrator: bool,
    /// The client's address, when it is known.
    pub(crate) client: Option<IpAddr>,
}

/// Makes a token for one login; `id` is random. `None` unless the key is on P-256, which the configuration has checked.
pub(crate) fn login_token(
    key: &AssertionKey,
    login: &Login<'_>,
    id: [u8; 16],
    now: Timestamp,
) -> Option<String> {
    let session = login.session;
    let ends = session.expires_at();
    let claims = json!({
        "iss": format!("https://{}/", login.host),
        "aud": login.host,
        "sub": session.subject,
        "user": login.user.as_str(),
        "administrator": login.administrator,
        "iat": now.0,
        "nbf": now.0,
        "exp": now.plus(LIFETIME).min(ends).0,
        "jti": URL_SAFE_NO_PAD.encode(id),
        "sid": session.id,
        "session_exp": ends.0,
    });
    let Value::Object(mut claims) = claims else {
        return None;
    };
    if let Some(email) = session.email() {
        claims.insert("email".to_owned(), email.into());
    }
    if let Some(address) = login.client {
        let address = address.to_canonical().to_string();
        claims.insert("rhost".to_owned(), address.into());
    }
    key.sign_as(TYPE, &claims)
}
