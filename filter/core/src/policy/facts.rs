//! The facts about a request that criteria evaluate.

use std::net::IpAddr;

use crate::http::client_certificate::ClientCertificate;
use crate::http::request::Parsed;
use crate::session::Session;
use crate::time::Timestamp;

/// Everything that a criterion may look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The user's active session, if there is one.
    pub session: Option<&'a Session>,
    /// The HTTP method, as received.
    pub method: &'a str,
    /// The canonical path, percent-decoded, without its query.
    pub path: &'a str,
    /// Whether the request is a CORS preflight (Fetch standard): `OPTIONS` with `Origin` and
    /// `Access-Control-Request-Method`.
    pub preflight: bool,
    /// The client's address as far as the proxy trusts it; `None` when the client has none.
    pub source: Option<IpAddr>,
    /// The time of the request.
    pub now: Timestamp,
    /// The client's certificate.
    pub certificate: ClientCertificate<'a>,
}

impl<'a> Facts<'a> {
    /// Returns the facts of a request without a session or a certificate. `path` is [`Parsed::decoded_path`], which the
    /// caller keeps.
    pub(crate) const fn of(request: &'a Parsed<'_>, path: &'a str, now: Timestamp) -> Self {
        Facts {
            session: None,
            method: request.method,
            path,
            preflight: request.preflight,
            source: request.source,
            now,
            certificate: ClientCertificate::NotAsked,
        }
    }
}
