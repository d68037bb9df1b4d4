//! From the module's word to a cluster.

use std::time::Duration;

use jetway_core::config::{Config, HostHeader, Route, Upstreams};
use jetway_core::contract::{CLIENT_CERTIFICATE_HEADER, ROUTE_HEADER, TRANSFER_ENCODING_HEADER};

use crate::cluster;
use crate::yaml::Map;

/// Status of a request that comes out of the module without a route: the module has failed or is not there.
const NO_PERMIT_STATUS: u16 = 503;

/// Request headers that are between Envoy and the module.
const INNER_HEADERS: [&str; 4] = [
    ROUTE_HEADER,
    TRANSFER_ENCODING_HEADER,
    CLIENT_CERTIFICATE_HEADER,
    "x-envoy-external-address",
];

/// The route table: one virtual host for every name, because the module has already looked at the name.
pub(crate) fn route_config(config: &Config) -> Map {
    let permitted = config.routes.iter().filter_map(|one| {
        let upstreams = one.target.upstreams()?;
        Some(route(one, upstreams))
    });
    let routes = permitted.chain([refusal()]).collect::<Vec<_>>();
    let host = Map::new()
        .set("name", "permitted")
        .set("domains", vec!["*"])
        .note("These are no concern of the upstream.")
        .set("request_headers_to_remove", INNER_HEADERS.to_vec())
        .note(
            "A request gets to an upstream only under the name that the module gave its route, after it permitted the\n\
             request. No route here leads anywhere without that name. What the module answers itself has no route here.",
        )
        .set("routes", routes);
    Map::new()
        .set("name", "jetway")
        .set("virtual_hosts", vec![host])
}

/// The last route, for requests without a permit.
///
/// It is also what Envoy finds when a request arrives, before the module has run. Without any route at that point,
/// Envoy would let upgrades to other protocols than websocket pass (tried with 1.40): the refusal of those needs a route.
fn refusal() -> Map {
    Map::new()
        .note("No permit: the module has failed or is not there.")
        .set("match", Map::new().set("prefix", "/"))
        .set(
            "direct_response",
            Map::new().set("status", NO_PERMIT_STATUS),
        )
}

fn route(route: &Route, upstreams: &Upstreams) -> Map {
    let forwarded_host = matches!(route.host, HostHeader::Upstream).then(|| vec![forwarded_host()]);
    Map::new()
        .note(route.name.as_str())
        .set(
            "match",
            Map::new()
                .set("prefix", "/")
                .set("headers", matchers(route)),
        )
        .set("route", action(route, upstreams))
        .set_some("request_headers_to_add", forwarded_host)
}

fn matchers(route: &Route) -> Vec<Map> {
    let named = Map::new()
        .set("name", ROUTE_HEADER)
        .set("string_match", Map::new().set("exact", route.id.as_str()));
    let mut matchers = vec![named];
    if !route.allow_websockets {
        matchers.push(
            Map::new()
                .note("no websockets here")
                .set("name", "upgrade")
                .set("present_match", false),
        );
    }
    matchers
}

fn action(route: &Route, upstreams: &Upstreams) -> Map {
    let map = Map::new().set("cluster", cluster::name(route));
    let map = patience(host(map, route, upstreams), route);
    if route.allow_websockets {
        let websocket = Map::new()
            .set("upgrade_type", "websocket")
            .set("enabled", true);
        map.set("upgrade_configs", vec![websocket])
    } else {
        map
    }
}

/// The `Host` that the upstream sees, where it is not the module that has already written it.
fn host(map: Map, route: &Route, upstreams: &Upstreams) -> Map {
    match (&route.host, upstreams.endpoints.as_slice()) {
        (HostHeader::Upstream, [only]) => map.set("host_rewrite_literal", only.origin.authority()),
        (HostHeader::Upstream, _) => map
            .note("`hostname` of the endpoint that is chosen.")
            .set("auto_host_rewrite", true),
        _ => map,
    }
}

/// How long the upstream may take to begin its answer, and how long request and answer may be silent. Envoy's `timeout`
/// would cut every answer that takes longer as a whole, such as a large file or a stream of events.
fn patience(map: Map, route: &Route) -> Map {
    let once = route.timeout.map(|timeout| {
        Map::new()
            .set("num_retries", 0u32)
            .set("per_try_timeout", timeout)
    });
    map.set("timeout", Duration::ZERO)
        .note("`timeout`: until the answer begins. Nothing is sent twice.")
        .set_some("retry_policy", once)
        .set("idle_timeout", route.idle_timeout.unwrap_or(Duration::ZERO))
}

/// The name that the visitor used. What an untrusted client says about it is gone by then, and what the module set stays.
fn forwarded_host() -> Map {
    Map::new()
        .set(
            "header",
            Map::new()
                .set("key", "x-forwarded-host")
                .set("value", "%REQ(:AUTHORITY)%"),
        )
        .set("append_action", "ADD_IF_ABSENT")
}
