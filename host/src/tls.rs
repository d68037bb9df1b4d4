//! TLS towards clients (certificates, choice by name) and towards servers (roots).

mod certificate;
mod client;

pub(crate) use certificate::{Certificates, Chain};
pub(crate) use client::{Roots, Trust};

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The one cryptography library of this process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
