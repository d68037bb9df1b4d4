//! The certificate that a client has presented, as the proxy states it in a header.

mod element;
mod x509;

use std::rc::Rc;

use crate::store::slot_cache::SlotCache;

/// Longest header that is read. A certificate with a large RSA key and many names stays below a third of it; proxies accept no
/// more than this for all headers together.
const MAX_HEADER: usize = 48 * 1024;
/// How many certificates one module instance remembers: clients send the same one with every request of a connection.
const REMEMBERED: usize = 64;

/// The proxy's knowledge of the client's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificate<'a> {
    /// No authority is configured, so that clients are not asked for a certificate.
    #[default]
    NotAsked,
    /// The client was asked for a certificate and has presented none.
    Missing,
    /// The certificate is not signed by the configured authority, or otherwise invalid.
    Invalid,
    /// The certificate is valid.
    Valid(&'a Certificate),
}

/// The parts of a client certificate that policies and upstreams use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the DER form, 64 lower-case hexadecimal digits.
    pub fingerprint: String,
    /// SHA-256 of the public key (SubjectPublicKeyInfo), in base64.
    pub spki_hash: String,
    /// DNS names among the subject alternative names.
    pub san_dns: Vec<String>,
    /// Email addresses among the subject alternative names.
    pub san_email: Vec<String>,
    /// URIs among the subject alternative names.
    pub san_uri: Vec<String>,
}

/// The statement of a request about its client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// No authority is configured.
    NotAsked,
    /// The client has presented none.
    Missing,
    /// The certificate cannot be read.
    Invalid,
    /// The certificate is valid.
    Valid(Rc<Certificate>),
}

impl Shown {
    /// Returns the fact that policies evaluate.
    pub(crate) fn as_fact(&self) -> ClientCertificate<'_> {
        match self {
            Self::NotAsked => ClientCertificate::NotAsked,
            Self::Missing => ClientCertificate::Missing,
            Self::Invalid => ClientCertificate::Invalid,
            Self::Valid(certificate) => ClientCertificate::Valid(certificate),
        }
    }
}

impl Certificate {
    /// Reads one certificate in PEM; `None` for none, several or a malformed one. It does not check that the certificate is valid.
    #[must_use]
    pub fn read(pem: &str) -> Option<Self> {
        x509::read(pem)
    }
}

/// Reads certificates and remembers them.
#[derive(Debug)]
pub(crate) struct CertificateReader {
    asked: bool,
    certificates: SlotCache<ReadCertificate, REMEMBERED>,
}

/// A header and the certificate in it; `None` for a header that holds no readable certificate.
type ReadCertificate = (Box<[u8]>, Option<Rc<Certificate>>);

impl CertificateReader {
    /// Creates a reader; `asked` is whether the proxy asks clients for certificates.
    pub(crate) fn new(asked: bool) -> Self {
        Self {
            asked,
            certificates: SlotCache::default(),
        }
    }

    /// Reads the value of [`crate::contract::CLIENT_CERTIFICATE_HEADER`].
    pub(crate) fn read(&self, header: Option<&[u8]>) -> Shown {
        if !self.asked {
            return Shown::NotAsked;
        }
        let Some(header) = header else {
            return Shown::Missing;
        };
        if header.len() > MAX_HEADER {
            return Shown::Invalid;
        }
        let known = self.certificates.find(header, |(known, certificate)| {
            (**known == *header).then(|| certificate.clone())
        });
        let certificate = known.unwrap_or_else(|| {
            let certificate = element::read_pem(header)
                .and_then(|pem| x509::read(&pem))
                .map(Rc::new);
            let entry = (Box::from(header), certificate.clone());
            self.certificates.insert(header, entry);
            certificate
        });
        certificate.map_or(Shown::Invalid, Shown::Valid)
    }
}

#[cfg(test)]
mod tests;
