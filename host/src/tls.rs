//! TLS towards clients (certificates, choice by name, certificates of theirs) and towards servers (roots).

mod certificate;
mod client;
mod client_authority;
mod peer_certificate;
mod pem;
#[cfg(test)]
pub(crate) mod testing;
mod unverified;

pub(crate) use certificate::{Certificates, Chain};
pub(crate) use client::{Roots, Trust};
pub(crate) use peer_certificate::peer_certificate;

use std::sync::Arc;

use anyhow::Context as _;
use jetway_core::config::Pem;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;

/// The one cryptography library of this process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The first certificate of a chain, that of its owner.
///
/// # Errors
/// A file that cannot be read, or text without a certificate.
pub(crate) fn leaf(certificate: &Pem) -> anyhow::Result<CertificateDer<'static>> {
    let chain = pem::chain(&pem::read("certificate", certificate)?)
        .with_context(|| format!("cannot use the certificate {}", pem::source(certificate)))?;
    chain.into_iter().next().context("the chain is empty")
}

/// What messages call a certificate: its file, or that it stands in the configuration.
pub(crate) fn called(certificate: &Pem) -> String {
    pem::source(certificate)
}
