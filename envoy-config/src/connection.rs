//! How HTTP is read from a connection (Envoy: HTTP connection manager) and what a request passes through.

use std::time::Duration;

use jetway_core::config::{Config, Listener};
use jetway_core::contract::{ROUTE_HEADER, TRANSFER_ENCODING_HEADER};
use jetway_core::http::head_size;

use crate::yaml::Map;
use crate::{Error, Options, access_log, local_reply, route, wasm};

/// How long a client may take to send its request headers: slow ones would hold a connection for nothing.
const REQUEST_HEADERS_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a request may be silent while the module works on it; routes have their own limit. It is longer than the
/// module's calls to the provider, and the only end of a request whose call came back to a module that had failed.
const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests at once on one HTTP/2 connection, and what Envoy takes in for one of them and for all before it is read:
/// the values of Envoy's guide for edge proxies.
pub(crate) const HTTP2_STREAMS: u32 = 100;
const HTTP2_STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// The network filter that speaks HTTP.
pub(crate) fn http_connections(
    config: &Config,
    file: &serde_json::Value,
    options: &Options,
) -> Result<Map, Error> {
    let map = Map::typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    )
    .set("stat_prefix", "jetway")
    .set("access_log", vec![access_log::stdout()]);
    let listener = &config.listener;
    let map = client_certificate(client_address(map, listener), listener);
    let map = limits(clean_paths(map), listener.idle_timeout)
        .note("Whether a route takes websockets is known after the module has chosen it; the module refuses them elsewhere.")
        .set("upgrade_configs", vec![Map::new().set("upgrade_type", "websocket").set("enabled", true)])
        .set("route_config", route::route_config(config))
        .note("What visitors see when an application does not answer. What the module answers is not touched.")
        .set("local_reply_config", local_reply::local_reply(config))
        .set("http_filters", vec![access_log::keep(), wasm::filter(file, listener, options)?, router()]);
    Ok(Map::new()
        .set("name", "envoy.filters.network.http_connection_manager")
        .set("typed_config", map))
}

/// Who the client is, and which of its words about that are dropped.
fn client_address(map: Map, listener: &Listener) -> Map {
    let mut removed = vec![ROUTE_HEADER, TRANSFER_ENCODING_HEADER, "x-forwarded-host"];
    if listener.trusted_hops == 0 {
        removed.push("x-forwarded-for");
    }
    if !listener.insecure {
        // Envoy believes trusted proxies about it, even where it knows better.
        removed.push("x-forwarded-proto");
    }
    let mut mutations = removed
        .into_iter()
        .map(|name| Map::new().set("remove", name))
        .collect::<Vec<_>>();
    mutations.push(transfer_encoding());
    let mutation =
        Map::typed("envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation")
            .set("mutations", mutations);
    map.note("The address of the connection is the client's, past as many proxies as `xff_num_trusted_hops` says.")
        .set("use_remote_address", true)
        .set("xff_num_trusted_hops", listener.trusted_hops)
        .note("Before anything else: only the module names a route, and only trusted proxies say who they forward for.")
        .set(
            "early_header_mutation_extensions",
            vec![Map::new().set("name", "envoy.http.early_header_mutation.header_mutation").set("typed_config", mutation)],
        )
        .note("Answers carry the upstream's name for itself, or none.")
        .set("server_header_transformation", "PASS_THROUGH")
}

/// Envoy takes `Transfer-Encoding` away before the module runs, and would pass the body of a WebSocket's handshake on as the
/// first bytes of the tunnel: so the module is told of it under another name.
fn transfer_encoding() -> Map {
    let header = Map::new()
        .set("key", TRANSFER_ENCODING_HEADER)
        .set("value", "%REQ(TRANSFER-ENCODING)%");
    let append = Map::new()
        .set("header", header)
        .set("append_action", "OVERWRITE_IF_EXISTS_OR_ADD");
    Map::new().set("append", append)
}

/// What the module and upstreams are told about the certificate that the client has shown in the handshake.
fn client_certificate(map: Map, listener: &Listener) -> Map {
    let map = map.note("Nobody but Envoy says which certificate the client has shown.");
    if listener.client_authority.is_none() {
        return map.set("forward_client_cert_details", "SANITIZE");
    }
    map.set("forward_client_cert_details", "SANITIZE_SET").set(
        "set_current_client_cert_details",
        Map::new().set("cert", true),
    )
}

/// One spelling of path and headers for the policy and for the upstream. It is the module's: Envoy resolves some paths
/// that the module refuses, and the same request would end differently in the bundled host.
fn clean_paths(map: Map) -> Map {
    map.note("The module brings the path into one form, for the policy and for the upstream; nothing passes without it.")
        .set("normalize_path", false)
        .set("merge_slashes", false)
        .set("path_with_escaped_slashes_action", "REJECT_REQUEST")
}

fn limits(map: Map, idle: Duration) -> Map {
    let common = Map::new()
        .set("idle_timeout", idle)
        .note("Each cookie of an HTTP/2 request counts. What is forwarded is less: the module refuses the rest with a page.")
        .set("max_headers_count", head_size::READ_FIELDS)
        .note("Many upstreams take `x_pomerium_claim_email` for `x-pomerium-claim-email`.")
        .set("headers_with_underscores_action", "REJECT_REQUEST");
    let http2 = Map::new()
        .set("max_concurrent_streams", HTTP2_STREAMS)
        .set("initial_stream_window_size", HTTP2_STREAM_WINDOW_BYTES)
        .set(
            "initial_connection_window_size",
            HTTP2_CONNECTION_WINDOW_BYTES,
        );
    map.set("common_http_protocol_options", common)
        .set("http2_protocol_options", http2)
        .set("max_request_headers_kb", head_size::READ_BYTES / 1024)
        .set("request_headers_timeout", REQUEST_HEADERS_TIMEOUT)
        .note("Ends a request that the module forgot; each route has its own `idle_timeout` once it is chosen.")
        .set("stream_idle_timeout", STREAM_IDLE_TIMEOUT)
}

fn router() -> Map {
    let config = Map::typed("envoy.extensions.filters.http.router.v3.Router")
        .set("suppress_envoy_headers", true);
    Map::new()
        .set("name", "envoy.filters.http.router")
        .set("typed_config", config)
}
