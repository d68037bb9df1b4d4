//! TLS on both sides.

mod downstream;
mod upstream;

pub(crate) use downstream::build_downstream;
pub(crate) use upstream::{build_upstream, server_name};

use jetway_core::config::Pem;

use crate::yaml::Map;
use crate::{Error, pem};

fn build_socket(context: Map) -> Map {
    Map::new()
        .set("name", "envoy.transport_sockets.tls")
        .set("typed_config", context)
}

fn build_tls_params() -> Map {
    Map::new().set("tls_minimum_protocol_version", "TLSv1_2")
}

/// Builds a certificate chain with its key; `place` names the chain in errors.
fn build_certificate(
    (chain, key): (&Pem, &Pem),
    place: &str,
    inline_key: impl FnOnce() -> Error,
) -> Result<Map, Error> {
    Ok(Map::new()
        .set(
            "certificate_chain",
            pem::build_public(chain, pem::Public::Certificates, place)?,
        )
        .set("private_key", pem::build_key(key, inline_key)?))
}
