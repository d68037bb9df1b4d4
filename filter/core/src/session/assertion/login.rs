//! The assertion for one login to Cockpit, which `jetway-cockpit-session` verifies.

use std::net::IpAddr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::session::Session;
use crate::session::signing_key::AssertionKey;
use crate::session::unix_user::UnixUser;
use crate::time::Timestamp;

/// Type of the token (RFC 8725 section 3.11): what upstreams are told about visitors is of another, and logs nobody in.
const TYPE: &str = "jetway-cockpit+jwt";

/// How many seconds it is good for. Cockpit uses it at once.
const LIFETIME: u64 = 60;

/// Who logs in, where, and as whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login<'a> {
    /// The public host, without port.
    pub(crate) host: &'a str,
    /// The visitor.
    pub(crate) session: &'a Session,
    /// The Unix user that they become.
    pub(crate) user: &'a UnixUser,
    /// The client's address, when it is known.
    pub(crate) client: Option<IpAddr>,
}

/// A token for one login; `id` is random. `None` unless the key is one on P-256, which the file's reader has checked.
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
