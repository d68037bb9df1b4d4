//! Certificates, keys and revocation lists in PEM (RFC 7468), from files or from the configuration itself.

use std::borrow::Cow;

use anyhow::{Context as _, bail};
use jetway_core::config::Pem;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use jetway_config_file::file;

/// Returns the PEM data; `what` names its purpose in error messages.
///
/// # Errors
/// The file cannot be read or is too large.
pub(super) fn read<'a>(what: &str, pem: &'a Pem) -> anyhow::Result<Cow<'a, [u8]>> {
    Ok(match pem {
        Pem::File(path) => Cow::Owned(file::read(what, path.as_ref(), file::MAX_PEM_BYTES)?),
        Pem::Text(text) => Cow::Borrowed(text.expose()),
    })
}

/// Returns where the data comes from, for error messages.
pub(super) fn describe_source(pem: &Pem) -> String {
    match pem {
        Pem::File(path) => format!("`{path}`"),
        Pem::Text(_) => "in the configuration".to_owned(),
    }
}

/// Returns the configuration key that holds the data, for error messages: with `_file` when it names a file.
pub(super) fn name_key(name: &str, pem: &Pem) -> String {
    match pem {
        Pem::File(_) => format!("`{name}_file`"),
        Pem::Text(_) => format!("`{name}`"),
    }
}

/// Parses a certificate chain, which begins with the certificate of the owner.
///
/// # Errors
/// The data is not PEM or contains no certificate.
pub(super) fn parse_chain(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .context("the certificate is not in PEM format")?;
    if certificates.is_empty() {
        bail!("there is no `BEGIN CERTIFICATE` in the certificate");
    }
    Ok(certificates)
}

/// Parses a private key.
///
/// # Errors
/// The data contains no usable key.
pub(super) fn parse_private_key(pem: &[u8]) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem)
        .context("there is no usable private key in PEM format; encrypted keys are not supported")
}

/// Parses certificate authorities.
///
/// # Errors
/// The data is not PEM, contains no certificate, or contains one that cannot be an authority.
pub(super) fn parse_authorities(pem: &[u8]) -> anyhow::Result<RootCertStore> {
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

/// Parses certificate revocation lists.
///
/// # Errors
/// The data is not PEM or contains no list.
pub(super) fn parse_revocation_lists(
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
    fn inline_data_is_used_and_files_are_read() {
        let text = Pem::Text(Secret::new(b"text".to_vec()));
        assert_eq!(read("certificate", &text).unwrap().as_ref(), b"text");
        let missing = Pem::File("/no/such/file.pem".to_owned());
        let refused = read("certificate", &missing).unwrap_err().to_string();
        assert!(
            refused.contains("certificate `/no/such/file.pem`"),
            "{refused}"
        );
        assert_eq!(name_key("tls_client_key", &text), "`tls_client_key`");
        assert_eq!(
            name_key("tls_client_key", &missing),
            "`tls_client_key_file`"
        );
    }

    #[test]
    fn data_of_another_kind_is_refused() {
        let made = rcgen::generate_simple_self_signed(vec!["one.test".to_owned()]).unwrap();
        let key = made.signing_key.serialize_pem();
        let certificate = made.cert.pem();
        for refused in [
            parse_chain(key.as_bytes()).map(drop),
            parse_chain(b"").map(drop),
            parse_authorities(key.as_bytes()).map(drop),
            parse_private_key(certificate.as_bytes()).map(drop),
            parse_revocation_lists(certificate.as_bytes()).map(drop),
        ] {
            assert!(refused.is_err());
        }
        assert_eq!(parse_chain(certificate.as_bytes()).unwrap().len(), 1);
        assert_eq!(parse_authorities(certificate.as_bytes()).unwrap().len(), 1);
        parse_private_key(key.as_bytes()).unwrap();
    }
}
