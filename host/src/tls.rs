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

use rustls::crypto::CryptoProvider;

/// The one cryptography library of this process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
