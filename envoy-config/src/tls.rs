//! TLS on both sides.

mod downstream;
mod upstream;

pub(crate) use downstream::downstream;
pub(crate) use upstream::{server_name, upstream};

use jetway_core::config::Pem;

use crate::yaml::Map;
use crate::{Error, pem};

fn socket(context: Map) -> Map {
    Map::new()
        .set("name", "envoy.transport_sockets.tls")
        .set("typed_config", context)
}

fn tls_params() -> Map {
    Map::new().set("tls_minimum_protocol_version", "TLSv1_2")
}

/// A chain and its key; `place` names the chain in errors.
fn certificate(
    (chain, key): (&Pem, &Pem),
    place: &str,
    inline_key: impl FnOnce() -> Error,
) -> Result<Map, Error> {
    Ok(Map::new()
        .set(
            "certificate_chain",
            pem::public(chain, pem::Public::Certificates, place)?,
        )
        .set("private_key", pem::key(key, inline_key)?))
}
