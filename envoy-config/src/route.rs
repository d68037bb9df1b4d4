//! From the module's word to a cluster.

use std::time::Duration;

use jetway_core::config::{Config, Route};
use jetway_core::contract::ROUTE_HEADER;

use crate::cluster;
use crate::yaml::Map;

/// How long a request and its answer may be silent once the module has permitted them: Envoy's and Pomerium's default.
const IDLE_STREAM: Duration = Duration::from_secs(300);

/// Status of a request that comes out of the module without a route: the module has failed or is not there.
const NO_PERMIT_STATUS: u16 = 503;

/// Request headers that are between Envoy and the module.
const INNER_HEADERS: [&str; 2] = [ROUTE_HEADER, "x-envoy-external-address"];

/// The route table: one virtual host for every name, because the module has already looked at the name.
pub(crate) fn route_config(config: &Config) -> Map {
    let permitted = config.routes.iter().map(route);
    let routes = permitted.chain([refusal()]).collect::<Vec<_>>();
    let host = Map::new()
        .set("name", "permitted")
        .set("domains", vec!["*"])
        .note("These are no concern of the upstream.")
        .set("request_headers_to_remove", INNER_HEADERS.to_vec())
        .note(
            "A request gets to an upstream only under the name that the module gave its route, after it permitted the\n\
             request. No route here leads anywhere without that name.",
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

fn route(route: &Route) -> Map {
    Map::new()
        .note(route.name.as_str())
        .set(
            "match",
            Map::new()
                .set("prefix", "/")
                .set("headers", matchers(route)),
        )
        .set("route", action(route))
        .set("request_headers_to_add", vec![forwarded_host()])
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

fn action(route: &Route) -> Map {
    let action = Map::new().set("cluster", cluster::name(route));
    let action = if route.preserve_host_header {
        action
    } else {
        action.set("host_rewrite_literal", route.upstream.origin.authority())
    };
    let action = action.set("timeout", route.timeout.unwrap_or(Duration::ZERO));
    if route.allow_websockets {
        let websocket = Map::new()
            .set("upgrade_type", "websocket")
            .set("enabled", true);
        action
            .note("Websockets stay open and silent for hours.")
            .set("idle_timeout", Duration::ZERO)
            .set("upgrade_configs", vec![websocket])
    } else {
        action.set("idle_timeout", IDLE_STREAM)
    }
}

/// The name that the visitor used. What an untrusted client says about it is gone by then.
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
