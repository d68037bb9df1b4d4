//! TLS towards upstreams and the provider.

use jetway_core::config::{Origin, Pem, UpstreamTls};

use super::{certificate, socket, tls_params};
use crate::endpoint::ip;
use crate::yaml::Map;
use crate::{Error, Options, pem};

/// The name that is asked for (SNI) and expected in the certificate of a server.
pub(crate) fn server_name<'a>(origin: &'a Origin, tls: &'a UpstreamTls) -> &'a str {
    tls.server_name.as_deref().unwrap_or(&origin.host)
}

/// The TLS socket of a cluster, for servers of this name. `route` names the route in errors.
pub(crate) fn upstream(
    name: &str,
    tls: &UpstreamTls,
    route: &str,
    options: &Options,
) -> Result<Map, Error> {
    let client = tls
        .client
        .as_ref()
        .map(|(chain, key)| shown((chain, key), route))
        .transpose()?;
    let common = Map::new()
        .set("tls_params", tls_params())
        .set_some("tls_certificates", client.map(|client| vec![client]))
        .set("alpn_protocols", vec!["http/1.1"]);
    let common = if tls.skip_verify {
        common.note("`tls_skip_verify`: whoever answers at this address is believed.")
    } else {
        let authorities = authorities(tls, route, options)?;
        common.set("validation_context", validation(name, authorities))
    };
    Ok(socket(
        Map::typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext")
            // RFC 6066 section 3: a server name is never an address.
            .set_some("sni", ip(name).is_none().then(|| name.to_owned()))
            .set("common_tls_context", common),
    ))
}

/// The certificate that is shown to the upstream.
fn shown(pair: (&Pem, &Pem), route: &str) -> Result<Map, Error> {
    let place = format!("`tls_client_cert` of route `{route}`");
    certificate(pair, &place, || Error::InlineClientKey(route.to_owned()))
}

fn authorities(tls: &UpstreamTls, route: &str, options: &Options) -> Result<Map, Error> {
    match &tls.authorities {
        Some(authorities) => {
            let place = format!("`tls_custom_ca` of route `{route}`");
            pem::public(authorities, pem::Public::Certificates, &place)
        }
        None => Ok(pem::file(&options.trusted_ca_path)),
    }
}

fn validation(name: &str, authorities: Map) -> Map {
    let (kind, name) = match ip(name) {
        Some(ip) => ("IP_ADDRESS", ip.to_string()),
        None => ("DNS", name.to_owned()),
    };
    let matcher = Map::new()
        .set("san_type", kind)
        .set("matcher", Map::new().set("exact", name));
    Map::new()
        .set("trusted_ca", authorities)
        .note("Without this, a certificate for any other name would do.")
        .set("match_typed_subject_alt_names", vec![matcher])
}
