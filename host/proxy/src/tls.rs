//! TLS towards clients (server certificates, and certificates of clients) and towards servers (trusted authorities).

mod certificate;
mod client;
mod client_authority;
mod metrics_listener;
mod peer_certificate;
mod pem;
mod server_verifier;
#[cfg(test)]
pub(crate) mod testing;
mod validity;

pub use certificate::{Certificates, Chain, TicketKeys};
pub use client::{Roots, Trust};
pub use metrics_listener::build_metrics_tls;
pub(crate) use peer_certificate::read_peer_certificate;

use std::sync::Arc;

use anyhow::Context as _;
use jetway_core::config::Pem;
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, UnixTime};

/// Returns the cryptography provider of this process.
fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Reads a certificate chain, which begins with the certificate of the owner and is never empty.
///
/// # Errors
/// The file cannot be read, or contains no certificate.
pub fn read_chain(certificate: &Pem) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    pem::parse_chain(&pem::read("certificate", certificate)?).with_context(|| {
        format!(
            "cannot use the certificate {}",
            pem::describe_source(certificate)
        )
    })
}

/// Checks that a chain leads to one of the authorities, by way of the certificates that are shown with the first one. Names
/// are not checked.
///
/// # Errors
/// The first problem that is found.
pub fn verify_chain(
    chain: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let (leaf, others) = chain
        .split_first()
        .ok_or(rustls::Error::NoCertificatesPresented)?;
    let algorithms = crypto_provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(
        &ParsedCertificate::try_from(leaf)?,
        roots,
        others,
        now,
        algorithms,
    )
}

/// Returns how messages name a certificate: by its file, or as part of the configuration.
pub fn describe_source(certificate: &Pem) -> String {
    pem::describe_source(certificate)
}
