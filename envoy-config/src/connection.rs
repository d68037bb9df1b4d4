//! Builds the HTTP connection manager and its filters.

use std::time::Duration;

use jetway_core::config::{Config, Listener};
use jetway_core::contract::{ROUTE_HEADER, TRANSFER_ENCODING_HEADER};
use jetway_core::http::head_size;

use crate::yaml::Map;
use crate::{Error, Options, access_log, local_reply, route, wasm};

/// How long a client may take to send its request headers, so that slow clients do not occupy connections.
const REQUEST_HEADERS_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a request may be idle while the module processes it; routes have their own limit. It is longer than the module's
/// calls to the provider, and the only end of a request whose call returned to a failed module.
const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Concurrent requests on one HTTP/2 connection, and the flow-control windows of one and of all of them: the values of
/// Envoy's guide for edge proxies.
pub(crate) const HTTP2_STREAMS: u32 = 100;
const HTTP2_STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Builds the network filter that speaks HTTP.
pub(crate) fn build_connection_manager(
    config: &Config,
    file: &serde_json::Value,
    options: &Options,
) -> Result<Map, Error> {
    let map = Map::typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    )
    .set("stat_prefix", "jetway")
    .set("access_log", vec![access_log::build_access_log()]);
    let listener = &config.listener;
    let map = set_client_certificate(set_client_address(map, listener), listener);
    let map = set_limits(set_path_handling(map), listener.idle_timeout)
        .note("The module decides whether a route allows WebSockets, and refuses them elsewhere.")
        .set(
            "upgrade_configs",
            vec![
                Map::new()
                    .set("upgrade_type", "websocket")
                    .set("enabled", true),
            ],
        )
        .set("route_config", route::build_route_config(config))
        .note(
            "The pages for upstreams that do not answer. Responses of the module are not changed.",
        )
        .set("local_reply_config", local_reply::build_local_reply(config))
        .set(
            "http_filters",
            vec![
                access_log::build_filter_state(),
                wasm::build_filter(file, listener, options)?,
                build_router(),
            ],
        );
    Ok(Map::new()
        .set("name", "envoy.filters.network.http_connection_manager")
        .set("typed_config", map))
}

/// Sets how the client's address is determined, and removes headers of untrusted clients about it.
fn set_client_address(map: Map, listener: &Listener) -> Map {
    let mut removed = vec![
        ROUTE_HEADER,
        TRANSFER_ENCODING_HEADER,
        "x-forwarded-host",
        // It is for a proxy (RFC 9110 section 11.7.2), and its password is no application's business.
        "proxy-authorization",
    ];
    if listener.trusted_hops == 0 {
        removed.push("x-forwarded-for");
    }
    if !listener.insecure {
        // Envoy accepts this header of trusted proxies even where it knows the protocol itself.
        removed.push("x-forwarded-proto");
    }
    let mut mutations = removed
        .into_iter()
        .map(|name| Map::new().set("remove", name))
        .collect::<Vec<_>>();
    mutations.push(remove_own_headers());
    mutations.push(copy_transfer_encoding());
    let mutation =
        Map::typed("envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation")
            .set("mutations", mutations);
    let mut map = map.note("The client's address is that of the connection, or behind `xff_num_trusted_hops` trusted proxies that of the header.")
        .set("use_remote_address", true)
        .set("xff_num_trusted_hops", listener.trusted_hops);
    if listener.trusted_hops > 0 {
        map = map
            .note("The id that a trusted proxy gives a request is kept.")
            .set("preserve_external_request_id", true)
            .note("Envoy changes no digit of it.")
            .set("request_id_extension", kept_request_id());
    }
    map.note("Runs first: only the module names a route, and only trusted proxies name the client.")
        .set(
            "early_header_mutation_extensions",
            vec![
                Map::new()
                    .set("name", "envoy.http.early_header_mutation.header_mutation")
                    .set("typed_config", mutation),
            ],
        )
        .note("The `server` header of the upstream is kept.")
        .set("server_header_transformation", "PASS_THROUGH")
}

/// Envoy writes into an id why it is traced, unless it is told not to.
fn kept_request_id() -> Map {
    let config = Map::typed("envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig")
        .set("pack_trace_reason", false);
    Map::new().set("typed_config", config)
}

/// Removes the headers by which Envoys talk to each other: it does not take all of them from clients by itself.
fn remove_own_headers() -> Map {
    let of_envoy = Map::new()
        .set("prefix", "x-envoy-")
        .set("ignore_case", true);
    Map::new().set("remove_on_match", Map::new().set("key_matcher", of_envoy))
}

/// Copies `Transfer-Encoding` to another header for the module. Envoy removes it before the module runs, and would forward
/// the body of a WebSocket handshake as the first bytes of the tunnel.
fn copy_transfer_encoding() -> Map {
    let header = Map::new()
        .set("key", TRANSFER_ENCODING_HEADER)
        .set("value", "%REQ(TRANSFER-ENCODING)%");
    let append = Map::new()
        .set("header", header)
        .set("append_action", "OVERWRITE_IF_EXISTS_OR_ADD");
    Map::new().set("append", append)
}

/// Sets the header by which the module and upstreams get the client's certificate of the handshake.
fn set_client_certificate(map: Map, listener: &Listener) -> Map {
    let map = map.note("Only Envoy sets the header with the client's certificate.");
    if listener.client_authority.is_none() {
        return map.set("forward_client_cert_details", "SANITIZE");
    }
    map.set("forward_client_cert_details", "SANITIZE_SET").set(
        "set_current_client_cert_details",
        Map::new().set("cert", true),
    )
}

/// Leaves path normalization to the module, so that the policy and the upstream get the same path. Envoy resolves some paths
/// that the module refuses, which would differ from the bundled host.
fn set_path_handling(map: Map) -> Map {
    map.note("The module normalizes the path for the policy and for the upstream; no request passes without it.")
        .set("normalize_path", false)
        .set("merge_slashes", false)
        .set("path_with_escaped_slashes_action", "REJECT_REQUEST")
}

fn set_limits(map: Map, idle: Duration) -> Map {
    let common = Map::new()
        .set("idle_timeout", idle)
        .note("Each cookie of an HTTP/2 request counts. The module forwards fewer and refuses the rest with a page.")
        .set("max_headers_count", head_size::READ_FIELDS)
        .note("Many upstreams treat `x_pomerium_claim_email` as `x-pomerium-claim-email`.")
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
        .note("Ends a request that the module does not resume; each route has its own `idle_timeout`.")
        .set("stream_idle_timeout", STREAM_IDLE_TIMEOUT)
}

fn build_router() -> Map {
    let config = Map::typed("envoy.extensions.filters.http.router.v3.Router")
        .set("suppress_envoy_headers", true);
    Map::new()
        .set("name", "envoy.filters.http.router")
        .set("typed_config", config)
}
