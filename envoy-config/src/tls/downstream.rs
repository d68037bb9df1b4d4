//! TLS towards clients.

use jetway_core::config::{ClientAuthority, Listener};

use super::{certificate, socket, tls_params};
use crate::yaml::Map;
use crate::{Error, pem};

/// How far from a client's certificate the trusted one may be, which counts: Pomerium's default.
const DIRECTLY: u32 = 1;

/// The TLS socket of the listener.
pub(crate) fn downstream(listener: &Listener) -> Result<Map, Error> {
    let certificates = listener
        .certificates
        .iter()
        .map(|server| {
            let pair = (&server.certificate, &server.key);
            certificate(pair, "`certificate`", || Error::InlineServerKey)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let authority = listener.client_authority.as_ref();
    let common = Map::new()
        .set("tls_params", tls_params())
        .note("Chosen by the name that the client asks for; the first one answers all other names.\nEnvoy reads the files when it starts.")
        .set("tls_certificates", certificates)
        .note("Clients are asked for a certificate; one that these authorities did not sign ends the handshake.")
        .set_some("validation_context", authority.map(validation).transpose()?)
        .note("HTTP/2 for pages; browsers open websockets on an HTTP/1.1 connection of their own.")
        .set("alpn_protocols", vec!["h2", "http/1.1"]);
    let required = authority.map(|authority| authority.required);
    Ok(socket(
        Map::typed("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext")
            .set("common_tls_context", common)
            .set_some("require_client_certificate", required),
    ))
}

fn validation(authority: &ClientAuthority) -> Result<Map, Error> {
    let authorities = pem::public(
        &authority.authorities,
        pem::Public::Certificates,
        "`ca` of `downstream_mtls`",
    )?;
    let map = Map::new()
        .set("trusted_ca", authorities)
        .note("The authorities themselves sign clients' certificates, not others that they have signed.")
        .set("max_verify_depth", DIRECTLY);
    let Some(revoked) = &authority.revoked else {
        return Ok(map);
    };
    let lists = pem::public(
        revoked,
        pem::Public::RevocationLists,
        "`crl` of `downstream_mtls`",
    )?;
    Ok(map
        .set("crl", lists)
        .note("Authorities between the client and the trusted one need no list of their own.")
        .set("only_verify_leaf_cert_crl", true))
}
