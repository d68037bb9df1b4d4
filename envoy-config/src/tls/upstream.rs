//! TLS towards upstreams and the provider.

use jetway_core::config::{Origin, Pem, UpstreamTls};

use super::{build_certificate, build_socket, build_tls_params};
use crate::endpoint::parse_ip;
use crate::yaml::Map;
use crate::{Error, Options, pem};

/// Returns the name that is sent to a server (SNI) and expected in its certificate.
pub(crate) fn server_name<'a>(origin: &'a Origin, tls: &'a UpstreamTls) -> &'a str {
    tls.server_name.as_deref().unwrap_or(&origin.host)
}

/// Builds the TLS socket of a cluster, for servers with this name. `route` names the route in errors.
pub(crate) fn build_upstream(
    name: &str,
    tls: &UpstreamTls,
    route: &str,
    options: &Options,
) -> Result<Map, Error> {
    let client = tls
        .client
        .as_ref()
        .map(|(chain, key)| build_client_certificate((chain, key), route))
        .transpose()?;
    let common = Map::new()
        .set("tls_params", build_tls_params())
        .set_some("tls_certificates", client.map(|client| vec![client]))
        .set("alpn_protocols", vec!["http/1.1"]);
    let common = if tls.skip_verify {
        common.note("`tls_skip_verify`: the identity of the server is not verified.")
    } else {
        let authorities = build_authorities(tls, route, options)?;
        common.set("validation_context", build_validation(name, authorities))
    };
    Ok(build_socket(
        Map::typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext")
            // RFC 6066 section 3: a server name must not be an address.
            .set_some("sni", parse_ip(name).is_none().then(|| name.to_owned()))
            .set("common_tls_context", common),
    ))
}

/// Builds the client certificate for the upstream.
fn build_client_certificate(pair: (&Pem, &Pem), route: &str) -> Result<Map, Error> {
    let place = format!("`tls_client_cert` of route `{route}`");
    build_certificate(pair, &place, || Error::InlineClientKey(route.to_owned()))
}

fn build_authorities(tls: &UpstreamTls, route: &str, options: &Options) -> Result<Map, Error> {
    match &tls.authorities {
        Some(authorities) => {
            let place = format!("`tls_custom_ca` of route `{route}`");
            pem::build_public(authorities, pem::Public::Certificates, &place)
        }
        None => Ok(pem::build_file(&options.trusted_ca_path)),
    }
}

fn build_validation(name: &str, authorities: Map) -> Map {
    let (kind, name) = match parse_ip(name) {
        Some(ip) => ("IP_ADDRESS", ip.to_string()),
        None => ("DNS", name.to_owned()),
    };
    let matcher = Map::new()
        .set("san_type", kind)
        .set("matcher", Map::new().set("exact", name));
    Map::new()
        .set("trusted_ca", authorities)
        .note("Without this, a certificate for any other name would be accepted.")
        .set("match_typed_subject_alt_names", vec![matcher])
}
