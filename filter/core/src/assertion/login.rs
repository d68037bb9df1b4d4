//! The assertion for one login to Cockpit, which `jetway-cockpit-session` verifies.

use std::net::IpAddr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::AssertionKey;
use crate::env::Timestamp;
use crate::session::Session;
use crate::unix_user::UnixUser;

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

/// A token for one login; `id` is random. `None` when the key is not one for ES256.
pub(crate) fn login_token(
    key: &AssertionKey,
    login: &Login<'_>,
    id: [u8; 16],
    now: Timestamp,
) -> Option<String> {
    let session = login.session;
    let ends = session.expires_at();
    let mut claims = Map::new();
    let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    say("iss", json!(format!("https://{}/", login.host)));
    say("aud", json!(login.host));
    say("sub", json!(session.subject));
    say("user", json!(login.user.as_str()));
    say("iat", json!(now.0));
    say("nbf", json!(now.0));
    say("exp", json!(now.plus(LIFETIME).min(ends).0));
    say("jti", json!(URL_SAFE_NO_PAD.encode(id)));
    say("sid", json!(session.id));
    say("session_exp", json!(ends.0));
    if let Some(email) = session.email() {
        say("email", json!(email));
    }
    if let Some(address) = login.client {
        say("rhost", json!(address.to_canonical().to_string()));
    }
    key.sign_as(TYPE, &claims)
}
