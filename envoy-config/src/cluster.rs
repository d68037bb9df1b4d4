//! Where Envoy connects to: one cluster per route, and one per origin of the provider.

use std::net::IpAddr;
use std::time::Duration;

use jetway_core::config::{Config, Origin, Route, Upstream};

use crate::Options;
use crate::bootstrap::socket_address;
use crate::tls::{self, Trust};
use crate::yaml::Map;

/// How long an unused connection to a peer is kept. Servers close theirs after a minute or more (nginx 75 s); a request
/// sent while they do so would be lost.
const IDLE_CONNECTION: Duration = Duration::from_secs(60);

/// All clusters: the routes' upstreams in the order of the routes, then the provider's origins.
pub(crate) fn clusters(config: &Config, options: &Options) -> Vec<Map> {
    let upstreams = config.routes.iter().map(|route| upstream(route, options));
    let origins = config
        .provider
        .iter()
        .flat_map(|provider| provider.origins());
    upstreams
        .chain(origins.map(|origin| provider(origin, options)))
        .collect()
}

/// Name of a route's cluster.
pub(crate) fn name(route: &Route) -> String {
    format!("route-{}", route.id)
}

fn upstream(route: &Route, options: &Options) -> Map {
    let Upstream {
        origin,
        tls_skip_verify,
        tls_custom_ca_file,
        ..
    } = &route.upstream;
    let trust = if *tls_skip_verify {
        Trust::Unchecked
    } else {
        Trust::Authorities(
            tls_custom_ca_file
                .as_deref()
                .unwrap_or(&options.trusted_ca_path),
        )
    };
    let map = Map::new()
        .note(format!("{} to {origin}", route.name))
        .set("name", name(route));
    connections(map, &name(route), origin, &trust, options)
}

/// A cluster for the module's own calls. Its name is the origin as text, by which the module asks for it.
fn provider(origin: &Origin, options: &Options) -> Map {
    let name = origin.to_string();
    let map = Map::new()
        .note("The identity provider, called by the module under this name.")
        .set("name", name.as_str());
    connections(
        map,
        &name,
        origin,
        &Trust::Authorities(&options.trusted_ca_path),
        options,
    )
}

fn connections(map: Map, name: &str, origin: &Origin, trust: &Trust<'_>, options: &Options) -> Map {
    let (kind, host) = endpoint(origin);
    let endpoint = Map::new().set(
        "endpoint",
        Map::new().set("address", socket_address(&host, origin.port)),
    );
    let endpoints = vec![Map::new().set("lb_endpoints", vec![endpoint])];
    map.set("type", kind)
        .set_some(
            "dns_lookup_family",
            (kind != STATIC).then_some("V4_PREFERRED"),
        )
        .set("connect_timeout", options.connect_timeout)
        .set("typed_extension_protocol_options", http_options())
        .set_some(
            "transport_socket",
            origin.tls.then(|| tls::upstream(origin, trust)),
        )
        .set(
            "load_assignment",
            Map::new()
                .set("cluster_name", name)
                .set("endpoints", endpoints),
        )
}

const STATIC: &str = "STATIC";

/// How the host is found, and the address or name to find.
fn endpoint(origin: &Origin) -> (&'static str, String) {
    if let Some(ip) = ip(origin) {
        return (STATIC, ip.to_string());
    }
    // RFC 6761 section 6.3: `localhost` is this machine and nothing has to be asked.
    if origin.host == "localhost" {
        return (STATIC, "127.0.0.1".to_owned());
    }
    ("STRICT_DNS", origin.host.clone())
}

/// The address, if the host is one.
pub(crate) fn ip(origin: &Origin) -> Option<IpAddr> {
    origin
        .host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

fn http_options() -> Map {
    const KEY: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let options = Map::typed(KEY)
        .set(
            "common_http_protocol_options",
            Map::new().set("idle_timeout", IDLE_CONNECTION),
        )
        .set(
            "explicit_http_config",
            Map::new().set("http_protocol_options", Map::new()),
        );
    Map::new().set(KEY, options)
}
