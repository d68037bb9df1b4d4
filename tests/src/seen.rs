//! What an upstream got.

use std::sync::{Arc, OnceLock};

use anyhow::{Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Method};
use rustls::pki_types::CertificateDer;

/// A request as the upstream got it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method.
    pub method: Method,
    /// Path and query, byte for byte.
    pub target: String,
    /// Headers.
    pub headers: HeaderMap,
    /// What came with the connection, when it is a TLS connection.
    pub tls: Option<SeenTls>,
    pub(crate) body: Arc<OnceLock<Bytes>>,
}

impl Seen {
    /// The body, once it has arrived whole.
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        self.body.get()
    }

    /// All values of a header.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers
            .get_all(name)
            .iter()
            .map(http::HeaderValue::as_bytes)
            .collect()
    }

    /// The only value of a header, as text.
    ///
    /// # Errors
    /// When there is none, more than one, or one that is not text.
    pub fn value(&self, name: &str) -> Result<&str> {
        match self.values(name).as_slice() {
            [value] => Ok(std::str::from_utf8(value)?),
            values => bail!("`{name}` has {} values in {self:?}", values.len()),
        }
    }
}

/// What an upstream learns from a TLS handshake.
#[derive(Clone, Debug)]
pub struct SeenTls {
    /// The name that the proxy asked for (SNI).
    pub server_name: Option<String>,
    /// The certificate that the proxy showed.
    pub client: Option<CertificateDer<'static>>,
}
