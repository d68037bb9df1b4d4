//! TLS towards clients (certificates, choice by name, certificates of theirs) and towards servers (roots).

mod certificate;
mod client;
mod client_authority;
mod peer_certificate;
mod pem;
#[cfg(test)]
pub(crate) mod testing;
mod unverified;

pub use certificate::{Certificates, Chain};
pub use client::{Roots, Trust};
pub(crate) use peer_certificate::peer_certificate;

use std::sync::Arc;

use anyhow::Context as _;
use jetway_core::config::Pem;
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, UnixTime};

/// The one cryptography library of this process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A chain of certificates, that of the owner first; never empty.
///
/// # Errors
/// A file that cannot be read, or text without a certificate.
pub fn chain(certificate: &Pem) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    pem::chain(&pem::read("certificate", certificate)?)
        .with_context(|| format!("cannot use the certificate {}", pem::source(certificate)))
}

/// Whether authorities stand behind a certificate, by way of others that are shown with it. Names are not looked at.
///
/// # Errors
/// What is wrong with the first that is.
pub fn verify_chain(
    chain: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let (leaf, others) = chain
        .split_first()
        .ok_or(rustls::Error::NoCertificatesPresented)?;
    let algorithms = provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(
        &ParsedCertificate::try_from(leaf)?,
        roots,
        others,
        now,
        algorithms,
    )
}

/// What messages call a certificate: its file, or that it stands in the configuration.
pub fn called(certificate: &Pem) -> String {
    pem::source(certificate)
}
