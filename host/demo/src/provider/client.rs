//! The one client of the demo provider: Jetway itself.

use base64::Engine as _;
use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

use super::NoRandomness;
use super::parameters::{Parameters, decode};
use super::unguessable;

/// Identifier of the client.
const CLIENT_ID: &str = "jetway-demo";
/// Longest `Authorization` header that is read, in bytes: Jetway's has about 100.
const MAX_AUTHORIZATION: usize = 1024;

/// A registered client.
pub(crate) struct Client {
    id: &'static str,
    secret: String,
    origin: String,
    redirect_uri: String,
}

impl Client {
    /// Registers the proxy at `origin` (such as `https://cockpit.localhost:8443`) with a new secret.
    pub(crate) fn register(origin: &str) -> Result<Self, NoRandomness> {
        Ok(Self {
            id: CLIENT_ID,
            secret: unguessable()?,
            origin: origin.to_owned(),
            redirect_uri: format!("{origin}{}", jetway_core::contract::CALLBACK_PATH),
        })
    }

    /// Returns the client identifier.
    pub(crate) fn id(&self) -> &str {
        self.id
    }

    /// Returns the client secret, for the proxy's configuration.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Returns the origin of the application.
    pub(super) fn origin(&self) -> String {
        self.origin.clone()
    }

    /// Returns the address that receives codes.
    pub(super) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Returns whether the browser may be sent to this address after a sign-out: anywhere on the client's own origin.
    pub(super) fn may_return_to(&self, address: &str) -> bool {
        match address.strip_prefix(self.origin.as_str()) {
            Some(path) => path.is_empty() || path.starts_with('/'),
            None => false,
        }
    }

    /// Returns whether a token request is from the client: `client_secret_basic` or `client_secret_post`, not both.
    pub(super) fn authenticates(&self, headers: &HeaderMap, form: &Parameters) -> bool {
        let posted = form.value("client_secret");
        match (headers.get(header::AUTHORIZATION), posted) {
            (Some(basic), None) => {
                let same_client = form.value("client_id").is_none_or(|id| id == self.id);
                same_client
                    && basic_credentials(basic.as_bytes())
                        .is_some_and(|(id, secret)| self.is(&id, &secret))
            }
            (None, Some(secret)) => form
                .value("client_id")
                .is_some_and(|id| self.is(id, secret)),
            _ => false,
        }
    }

    fn is(&self, id: &str, secret: &str) -> bool {
        // Digests are compared, so that the duration does not reveal how much of a guess was right.
        id == self.id && Sha256::digest(secret) == Sha256::digest(&self.secret)
    }
}

/// Returns identifier and secret of `Authorization: Basic`.
fn basic_credentials(value: &[u8]) -> Option<(String, String)> {
    if value.len() > MAX_AUTHORIZATION {
        return None;
    }
    let (scheme, encoded) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((decode(id)?, decode(secret)?))
}
