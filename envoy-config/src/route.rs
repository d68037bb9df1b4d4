//! Builds the route table, which maps the route that the module permits to a cluster.

use std::time::Duration;

use jetway_core::config::{Config, HostHeader, Route, Upstreams};
use jetway_core::contract::{CLIENT_CERTIFICATE_HEADER, ROUTE_HEADER, TRANSFER_ENCODING_HEADER};

use crate::access_log::build_route_metadata;
use crate::cluster;
use crate::yaml::Map;

/// Status of a request without a permitted route: the module has failed or is missing.
const NO_PERMIT_STATUS: u16 = 503;

/// Request headers that are internal to Envoy and the module.
const INNER_HEADERS: [&str; 4] = [
    ROUTE_HEADER,
    TRANSFER_ENCODING_HEADER,
    CLIENT_CERTIFICATE_HEADER,
    "x-envoy-external-address",
];

/// Builds the route table: one virtual host for every name, because the module has already checked the name.
pub(crate) fn build_route_config(config: &Config) -> Map {
    let permitted = config.routes.iter().filter_map(|one| {
        let upstreams = one.target.upstreams()?;
        Some(build_route(one, upstreams))
    });
    let routes = permitted.chain([build_refusal()]).collect::<Vec<_>>();
    let host = Map::new()
        .set("name", "permitted")
        .set("domains", vec!["*"])
        .note("These are internal to Envoy and the module.")
        .set("request_headers_to_remove", INNER_HEADERS.to_vec())
        .note(
            "A request reaches an upstream only with the route name that the module sets when it permits the request.\n\
             No route here matches without that name. Responses of the module itself have no route here.",
        )
        .set("routes", routes);
    Map::new()
        .set("name", "jetway")
        .set("virtual_hosts", vec![host])
}

/// Builds the last route, for requests without a permit.
///
/// Envoy also matches this route when a request arrives, before the module has run. Without any route at that point, Envoy
/// would let upgrades to protocols other than WebSocket pass (tested with 1.40), because refusing those needs a route.
fn build_refusal() -> Map {
    Map::new()
        .note("No permit: the module has failed or is missing.")
        .set("match", Map::new().set("prefix", "/"))
        .set(
            "direct_response",
            Map::new().set("status", NO_PERMIT_STATUS),
        )
}

fn build_route(route: &Route, upstreams: &Upstreams) -> Map {
    let forwarded_host =
        matches!(route.host, HostHeader::Upstream).then(|| vec![build_forwarded_host()]);
    Map::new()
        .note(route.name.as_str())
        .set(
            "match",
            Map::new()
                .set("prefix", "/")
                .set("headers", build_matchers(route)),
        )
        .set("route", build_action(route, upstreams))
        .set("metadata", build_route_metadata())
        .set_some("request_headers_to_add", forwarded_host)
}

fn build_matchers(route: &Route) -> Vec<Map> {
    let named = Map::new()
        .set("name", ROUTE_HEADER)
        .set("string_match", Map::new().set("exact", route.id.as_str()));
    let mut matchers = vec![named];
    if !route.allow_websockets {
        matchers.push(
            Map::new()
                .note("WebSockets are not allowed")
                .set("name", "upgrade")
                .set("present_match", false),
        );
    }
    matchers
}

fn build_action(route: &Route, upstreams: &Upstreams) -> Map {
    let map = Map::new().set("cluster", cluster::cluster_name(route));
    let map = set_timeouts(set_host(map, route, upstreams), route);
    if route.allow_websockets {
        let websocket = Map::new()
            .set("upgrade_type", "websocket")
            .set("enabled", true);
        map.set("upgrade_configs", vec![websocket])
    } else {
        map
    }
}

/// Sets the `Host` for the upstream, unless the module has already written it.
fn set_host(map: Map, route: &Route, upstreams: &Upstreams) -> Map {
    match (&route.host, upstreams.endpoints.as_slice()) {
        (HostHeader::Upstream, [only]) => map.set("host_rewrite_literal", only.origin.authority()),
        (HostHeader::Upstream, _) => map
            .note("The `hostname` of the chosen endpoint.")
            .set("auto_host_rewrite", true),
        _ => map,
    }
}

/// Sets how long the upstream may take to begin its response, and how long request and response may be idle. Envoy's
/// `timeout` would cut every response that takes longer in total, such as a large file or a stream of events.
fn set_timeouts(map: Map, route: &Route) -> Map {
    let once = route.timeout.map(|timeout| {
        Map::new()
            .set("num_retries", 0u32)
            .set("per_try_timeout", timeout)
    });
    map.set("timeout", Duration::ZERO)
        .note("`timeout`: until the response begins. No request is retried.")
        .set_some("retry_policy", once)
        .set("idle_timeout", route.idle_timeout.unwrap_or(Duration::ZERO))
}

/// Builds `X-Forwarded-Host` with the host that the client used. The header of an untrusted client has been removed by then,
/// and one that the module set is kept.
fn build_forwarded_host() -> Map {
    Map::new()
        .set(
            "header",
            Map::new()
                .set("key", "x-forwarded-host")
                .set("value", "%REQ(:AUTHORITY)%"),
        )
        .set("append_action", "ADD_IF_ABSENT")
}
