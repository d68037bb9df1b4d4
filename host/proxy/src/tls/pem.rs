//! Certificates, keys and revocation lists in PEM (RFC 7468), from files or from the configuration itself.

use std::borrow::Cow;

use anyhow::{Context as _, bail};
use jetway_core::config::Pem;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use jetway_config_file::file;

/// The text; `what` says in messages what is read.
///
/// # Errors
/// A file that cannot be read, or is too large.
pub(super) fn read<'a>(what: &str, pem: &'a Pem) -> anyhow::Result<Cow<'a, [u8]>> {
    Ok(match pem {
        Pem::File(path) => Cow::Owned(file::read(what, path.as_ref(), file::MAX_PEM_BYTES)?),
        Pem::Text(text) => Cow::Borrowed(text.expose()),
    })
}

/// Where it comes from, for messages.
pub(super) fn source(pem: &Pem) -> String {
    match pem {
        Pem::File(path) => format!("`{path}`"),
        Pem::Text(_) => "in the configuration".to_owned(),
    }
}

/// The configuration key that names it, for messages: with `_file` when it names a file.
pub(super) fn key(name: &str, pem: &Pem) -> String {
    match pem {
        Pem::File(_) => format!("`{name}_file`"),
        Pem::Text(_) => format!("`{name}`"),
    }
}

/// A chain of certificates, that of the owner first.
///
/// # Errors
/// Text that is not PEM or holds no certificate.
pub(super) fn chain(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .context("the certificate is not in PEM format")?;
    if certificates.is_empty() {
        bail!("there is no `BEGIN CERTIFICATE` in the certificate");
    }
    Ok(certificates)
}

/// A private key.
///
/// # Errors
/// Text that holds no usable key.
pub(super) fn private_key(pem: &[u8]) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem)
        .context("there is no usable private key in PEM format; encrypted keys are not supported")
}

/// Authorities.
///
/// # Errors
/// Text that is not PEM, holds no certificate, or one that cannot be an authority.
pub(super) fn authorities(pem: &[u8]) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.context("the authorities are not in PEM format")?;
        roots
            .add(certificate)
            .context("a certificate cannot be an authority")?;
    }
    if roots.is_empty() {
        bail!("there is no `BEGIN CERTIFICATE` in the authorities");
    }
    Ok(roots)
}

/// Revocation lists.
///
/// # Errors
/// Text that is not PEM or holds no list.
pub(super) fn revocation_lists(
    pem: &[u8],
) -> anyhow::Result<Vec<CertificateRevocationListDer<'static>>> {
    let lists = CertificateRevocationListDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .context("the revocation lists are not in PEM format")?;
    if lists.is_empty() {
        bail!("there is no `BEGIN X509 CRL` in the revocation lists");
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jetway_core::secret::Secret;

    #[test]
    fn text_is_taken_as_it_is_and_files_are_read() {
        let text = Pem::Text(Secret::new(b"text".to_vec()));
        assert_eq!(read("certificate", &text).unwrap().as_ref(), b"text");
        let missing = Pem::File("/no/such/file.pem".to_owned());
        let refused = read("certificate", &missing).unwrap_err().to_string();
        assert!(
            refused.contains("certificate `/no/such/file.pem`"),
            "{refused}"
        );
        assert_eq!(key("tls_client_key", &text), "`tls_client_key`");
        assert_eq!(key("tls_client_key", &missing), "`tls_client_key_file`");
    }

    #[test]
    fn text_without_what_is_looked_for_is_refused() {
        let made = rcgen::generate_simple_self_signed(vec!["one.test".to_owned()]).unwrap();
        let key = made.signing_key.serialize_pem();
        let certificate = made.cert.pem();
        for refused in [
            chain(key.as_bytes()).map(drop),
            chain(b"").map(drop),
            authorities(key.as_bytes()).map(drop),
            private_key(certificate.as_bytes()).map(drop),
            revocation_lists(certificate.as_bytes()).map(drop),
        ] {
            assert!(refused.is_err());
        }
        assert_eq!(chain(certificate.as_bytes()).unwrap().len(), 1);
        assert_eq!(authorities(certificate.as_bytes()).unwrap().len(), 1);
        private_key(key.as_bytes()).unwrap();
    }
}
