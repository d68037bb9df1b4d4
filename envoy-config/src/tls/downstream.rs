//! TLS towards clients.

use jetway_core::config::{ClientAuthority, Listener};

use super::{build_certificate, build_socket, build_tls_params};
use crate::yaml::Map;
use crate::{Error, pem};

/// Most steps from a client's certificate to the trusted one: Pomerium's default.
const DIRECTLY: u32 = 1;

/// Builds the TLS socket of the listener.
pub(crate) fn build_downstream(listener: &Listener) -> Result<Map, Error> {
    let certificates = listener
        .certificates
        .iter()
        .map(|server| {
            let pair = (&server.certificate, &server.key);
            build_certificate(pair, "`certificate`", || Error::InlineServerKey)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let authority = listener.client_authority.as_ref();
    let common = Map::new()
        .set("tls_params", build_tls_params())
        .note("Chosen by the server name that the client sends; the first one is used for all other names.\nEnvoy reads the files when it starts.")
        .set("tls_certificates", certificates)
        .note("Clients are asked for a certificate; the handshake fails if these authorities did not sign it.")
        .set_some("validation_context", authority.map(build_validation).transpose()?)
        .note("HTTP/2 for pages; browsers open WebSockets on a separate HTTP/1.1 connection.")
        .set("alpn_protocols", vec!["h2", "http/1.1"]);
    let required = authority.map(|authority| authority.required);
    Ok(build_socket(
        Map::typed("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext")
            .set("common_tls_context", common)
            .set_some("require_client_certificate", required),
    ))
}

fn build_validation(authority: &ClientAuthority) -> Result<Map, Error> {
    let authorities = pem::build_public(
        &authority.authorities,
        pem::Public::Certificates,
        "`ca` of `downstream_mtls`",
    )?;
    let map = Map::new()
        .set("trusted_ca", authorities)
        .note("The authorities sign clients' certificates directly, without intermediates.")
        .set("max_verify_depth", DIRECTLY);
    let Some(revoked) = &authority.revoked else {
        return Ok(map);
    };
    let lists = pem::build_public(
        revoked,
        pem::Public::RevocationLists,
        "`crl` of `downstream_mtls`",
    )?;
    Ok(map
        .set("crl", lists)
        .note("Intermediate authorities need no revocation list.")
        .set("only_verify_leaf_cert_crl", true))
}
