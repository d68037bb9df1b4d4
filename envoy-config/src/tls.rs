//! TLS on both sides.

use jetway_core::config::{CertificateFiles, Origin};

use crate::cluster::ip;
use crate::yaml::Map;

/// The TLS socket of the listener.
pub(crate) fn downstream(certificates: &[CertificateFiles]) -> Map {
    let certificates = certificates.iter().map(certificate).collect::<Vec<_>>();
    let common = Map::new()
        .set("tls_params", tls_params())
        .note("Chosen by the name that the client asks for; the first one answers all other names.\nEnvoy reads the files when it starts.")
        .set("tls_certificates", certificates)
        .note("HTTP/2 for pages; browsers open websockets on an HTTP/1.1 connection of their own.")
        .set("alpn_protocols", vec!["h2", "http/1.1"]);
    socket(
        Map::typed("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext")
            .set("common_tls_context", common),
    )
}

/// What vouches for an upstream's or the provider's certificate.
pub(crate) enum Trust<'a> {
    /// The authorities in this PEM file.
    Authorities(&'a str),
    /// Nobody: any certificate is taken (`tls_skip_verify`).
    Unchecked,
}

/// The TLS socket of a cluster.
pub(crate) fn upstream(origin: &Origin, trust: &Trust<'_>) -> Map {
    let common = Map::new()
        .set("tls_params", tls_params())
        .set("alpn_protocols", vec!["http/1.1"]);
    let common = match trust {
        Trust::Authorities(path) => common.set("validation_context", validation(origin, path)),
        Trust::Unchecked => {
            common.note("`tls_skip_verify`: whoever answers at this address is believed.")
        }
    };
    socket(
        Map::typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext")
            // RFC 6066 section 3: a server name is never an address.
            .set_some("sni", ip(origin).is_none().then(|| origin.host.clone()))
            .set("common_tls_context", common),
    )
}

fn socket(context: Map) -> Map {
    Map::new()
        .set("name", "envoy.transport_sockets.tls")
        .set("typed_config", context)
}

fn certificate(files: &CertificateFiles) -> Map {
    Map::new()
        .set("certificate_chain", file(&files.certificate))
        .set("private_key", file(&files.key))
}

fn file(path: &str) -> Map {
    Map::new().set("filename", path)
}

fn tls_params() -> Map {
    Map::new().set("tls_minimum_protocol_version", "TLSv1_2")
}

fn validation(origin: &Origin, authorities: &str) -> Map {
    let (kind, name) = match ip(origin) {
        Some(ip) => ("IP_ADDRESS", ip.to_string()),
        None => ("DNS", origin.host.clone()),
    };
    let matcher = Map::new()
        .set("san_type", kind)
        .set("matcher", Map::new().set("exact", name));
    Map::new()
        .set("trusted_ca", file(authorities))
        .note("Without this, a certificate for any other name would do.")
        .set("match_typed_subject_alt_names", vec![matcher])
}
