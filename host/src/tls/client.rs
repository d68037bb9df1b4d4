//! How servers behind the proxy, and the provider, are verified.

use std::cell::OnceCell;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::file;
use crate::limits;

/// Whom a TLS connection to a server trusts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Trust {
    /// The system's authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` replace them).
    System,
    /// The authorities of one PEM file (`tls_custom_ca_file`).
    File(String),
    /// The authorities in this PEM text.
    Pem(Arc<str>),
    /// Anyone (`tls_skip_verify`).
    Anyone,
}

/// Builds client configurations; reads the system's authorities at most once, and only when a connection needs them.
#[derive(Default)]
pub(crate) struct Roots {
    system: OnceCell<Arc<ClientConfig>>,
}

impl Roots {
    /// The configuration for one kind of trust.
    ///
    /// # Errors
    /// Authorities that cannot be read.
    pub(crate) fn client_config(&self, trust: &Trust) -> anyhow::Result<Arc<ClientConfig>> {
        match trust {
            Trust::System => self.system(),
            Trust::File(path) => with_roots(file_roots(path)?),
            Trust::Pem(text) => with_roots(pem_roots("the given text", text.as_bytes())?),
            Trust::Anyone => unverified(),
        }
    }

    fn system(&self) -> anyhow::Result<Arc<ClientConfig>> {
        if let Some(config) = self.system.get() {
            return Ok(Arc::clone(config));
        }
        let config = with_roots(system_roots()?)?;
        Ok(Arc::clone(self.system.get_or_init(|| config)))
    }
}

fn system_roots() -> anyhow::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system store often holds a few old certificates that rustls refuses: they are skipped, as other programs do.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        bail!(
            "the system has no certificate authorities: install `ca-certificates` or set SSL_CERT_FILE ({})",
            reasons.join("; ")
        );
    }
    Ok(roots)
}

fn file_roots(path: &str) -> anyhow::Result<RootCertStore> {
    let pem = file::read("certificate authority", path.as_ref(), limits::PEM_FILE)?;
    pem_roots(path, &pem)
}

/// The authorities in PEM text; `source` names it in messages.
fn pem_roots(source: &str, pem: &[u8]) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.with_context(|| format!("`{source}` is not in PEM format"))?;
        roots.add(certificate).with_context(|| {
            format!("`{source}` holds a certificate that cannot be an authority")
        })?;
    }
    if roots.is_empty() {
        bail!("there is no `BEGIN CERTIFICATE` in `{source}`");
    }
    Ok(roots)
}

fn with_roots(roots: RootCertStore) -> anyhow::Result<Arc<ClientConfig>> {
    let config = ClientConfig::builder_with_provider(super::provider())
        .with_safe_default_protocol_versions()
        .context("the TLS library offers no usable version")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn unverified() -> anyhow::Result<Arc<ClientConfig>> {
    let config = ClientConfig::builder_with_provider(super::provider())
        .with_safe_default_protocol_versions()
        .context("the TLS library offers no usable version")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unverified {
            provider: super::provider(),
        }))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Accepts every certificate, because the operator wrote `tls_skip_verify`; the handshake's signature is still checked.
#[derive(Debug)]
struct Unverified {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
