//! TLS towards servers: upstreams and the provider.

use std::cell::OnceCell;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jetway_core::config::{Pem, UpstreamTls};
use rustls::{ClientConfig, RootCertStore};

use super::pem;
use super::server_verifier::{ServerVerifier, TrustedCertificates};

/// The authorities that a TLS connection to a server trusts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The system's authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` replace them).
    System,
    /// The authorities in this PEM data, and servers that show exactly one of these certificates.
    Pem(Arc<str>),
    /// Any certificate (`tls_skip_verify`).
    Anyone,
}

/// Builds client configurations. It reads the system's authorities at most once, and only when a connection needs them.
#[derive(Default)]
pub struct Roots {
    system: OnceCell<TrustedCertificates>,
    /// The configuration with the system's authorities and no client certificate, which most connections use.
    plain: OnceCell<Arc<ClientConfig>>,
}

impl Roots {
    /// Returns the configuration for one kind of trust.
    ///
    /// # Errors
    /// The authorities cannot be read.
    pub(crate) fn client_config(&self, trust: &Trust) -> anyhow::Result<Arc<ClientConfig>> {
        match trust {
            Trust::System => self.plain(),
            Trust::Pem(text) => {
                build_client_config(Some(&TrustedCertificates::from_pem(text.as_bytes())?), None)
            }
            Trust::Anyone => build_client_config(None, None),
        }
    }

    /// Returns the configuration that a route's `tls_*` keys describe.
    ///
    /// # Errors
    /// Authorities, a certificate or a key cannot be used; the message names the key.
    pub fn upstream_config(&self, tls: &UpstreamTls) -> anyhow::Result<Arc<ClientConfig>> {
        let custom;
        let trusted = match &tls.authorities {
            _ if tls.skip_verify => None,
            Some(authorities) => {
                custom = read_custom_certificates(authorities)?;
                Some(&custom)
            }
            None if tls.client.is_none() => return self.plain(),
            None => Some(self.system_certificates()?),
        };
        build_client_config(trusted, tls.client.as_ref())
    }

    fn plain(&self) -> anyhow::Result<Arc<ClientConfig>> {
        if let Some(config) = self.plain.get() {
            return Ok(Arc::clone(config));
        }
        let config = build_client_config(Some(self.system_certificates()?), None)?;
        Ok(Arc::clone(self.plain.get_or_init(|| config)))
    }

    /// Returns the system's authorities.
    ///
    /// # Errors
    /// The system has none.
    pub fn system(&self) -> anyhow::Result<Arc<RootCertStore>> {
        Ok(Arc::clone(&self.system_certificates()?.roots))
    }

    fn system_certificates(&self) -> anyhow::Result<&TrustedCertificates> {
        if let Some(certificates) = self.system.get() {
            return Ok(certificates);
        }
        let certificates = read_system_certificates()?;
        Ok(self.system.get_or_init(|| certificates))
    }
}

fn read_system_certificates() -> anyhow::Result<TrustedCertificates> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system store often contains a few old certificates that rustls refuses. They are skipped, as other programs do.
    let (added, _) = roots.add_parsable_certificates(found.certs.iter().cloned());
    if added == 0 {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        bail!(
            "the system has no certificate authorities: install `ca-certificates` or set SSL_CERT_FILE ({})",
            reasons.join("; ")
        );
    }
    Ok(TrustedCertificates::new(roots, found.certs))
}

fn read_custom_certificates(authorities: &Pem) -> anyhow::Result<TrustedCertificates> {
    pem::read("certificate authority", authorities)
        .and_then(|text| TrustedCertificates::from_pem(&text))
        .with_context(|| format!("cannot use {}", pem::name_key("tls_custom_ca", authorities)))
}

/// Builds a configuration that trusts these certificates, or any certificate, and shows servers this certificate.
fn build_client_config(
    trusted: Option<&TrustedCertificates>,
    identity: Option<&(Pem, Pem)>,
) -> anyhow::Result<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(super::crypto_provider())
        .with_safe_default_protocol_versions()
        .context("the TLS library offers no usable version")?;
    let verifier = match trusted {
        Some(trusted) => trusted.verifier()?,
        None => ServerVerifier::accepting_any(),
    };
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some((certificate, key)) = identity else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let (certificate_name, key_name) = (
        pem::name_key("tls_client_cert", certificate),
        pem::name_key("tls_client_key", key),
    );
    let chain = pem::read("client certificate", certificate)
        .and_then(|text| pem::parse_chain(&text))
        .with_context(|| format!("cannot use {certificate_name}"))?;
    let private_key = pem::read("private key", key)
        .and_then(|text| pem::parse_private_key(&text))
        .with_context(|| format!("cannot use {key_name}"))?;
    let config = builder
        .with_client_auth_cert(chain, private_key)
        .with_context(|| format!("cannot use {certificate_name} with {key_name}"))?;
    Ok(Arc::new(config))
}
