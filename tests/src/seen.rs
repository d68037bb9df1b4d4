//! Requests that an upstream has received.

use std::sync::{Arc, OnceLock};

use anyhow::{Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Method};
use rustls::pki_types::CertificateDer;

/// A request as the upstream received it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method.
    pub method: Method,
    /// Path and query, byte for byte.
    pub target: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Facts about the TLS connection, if it is one.
    pub tls: Option<SeenTls>,
    pub(crate) body: Arc<OnceLock<Bytes>>,
}

impl Seen {
    /// Returns the body, once it has arrived completely.
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        self.body.get()
    }

    /// Returns all values of a header.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers
            .get_all(name)
            .iter()
            .map(http::HeaderValue::as_bytes)
            .collect()
    }

    /// Returns the only value of a header, as a string.
    ///
    /// # Errors
    /// Returns an error when there is none, more than one, or one that is not UTF-8.
    pub fn value(&self, name: &str) -> Result<&str> {
        match self.values(name).as_slice() {
            [value] => Ok(std::str::from_utf8(value)?),
            values => bail!("`{name}` has {} values in {self:?}", values.len()),
        }
    }
}

/// The upstream's view of a TLS handshake.
#[derive(Clone, Debug)]
pub struct SeenTls {
    /// The name that the proxy requested (SNI).
    pub server_name: Option<String>,
    /// The certificate that the proxy showed.
    pub client: Option<CertificateDer<'static>>,
}
