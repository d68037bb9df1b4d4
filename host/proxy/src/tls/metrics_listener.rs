//! TLS of the listener for metrics (`metrics_certificate`, `metrics_client_ca`).

use std::sync::Arc;

use anyhow::Context as _;
use jetway_core::config::MetricsListener;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;

use super::{Certificates, Chain, TicketKeys, pem};

/// Builds the TLS configuration; `None` for plain HTTP.
///
/// # Errors
/// A certificate, key or authority cannot be read or used.
pub fn build_metrics_tls(listener: &MetricsListener) -> anyhow::Result<Option<Arc<ServerConfig>>> {
    let Some(certificate) = &listener.certificate else {
        return Ok(None);
    };
    let chains = vec![Chain::read(certificate)?];
    let certificates = match &listener.client_authorities {
        None => Certificates::Tls(chains),
        Some(authorities) => {
            let roots = pem::read("certificate authority", authorities)
                .and_then(|text| pem::parse_authorities(&text))
                .with_context(|| {
                    format!(
                        "cannot use {}",
                        pem::name_key("metrics_client_ca", authorities)
                    )
                })?;
            let provider = super::crypto_provider();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            Certificates::MutualTls(chains, verifier)
        }
    };
    let Some(config) = certificates.server_config(&TicketKeys::generate()?)? else {
        return Ok(None);
    };
    let mut config = ServerConfig::clone(&config);
    // The listener speaks HTTP/1.1 only.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}
