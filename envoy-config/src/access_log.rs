//! Builds the access log: one line per request on standard output.

use jetway_core::contract::{ACCOUNT_PROPERTY, DECISION_PROPERTY, REASONS_PROPERTY};
use jetway_core::explain::ExplainedDecision;
use serde_json::Value;

use crate::yaml::Map;

/// Names under which [`build_filter_state`] stores the client's values.
const PATH: &str = "jetway.path";
const AUTHORITY: &str = "jetway.authority";

/// Namespace and key of the metadata by which a route states the decision.
const NAMESPACE: &str = "jetway";
const DECISION: &str = "decision";

/// Builds the HTTP filter in front of the module that stores the path and the host that the client sent, because the module
/// and the route may change both. The query is not stored, and the upstream sees none of this.
pub(crate) fn build_filter_state() -> Map {
    let values = vec![
        build_object(PATH, "%PATH(NQ:PATH)%"),
        build_object(AUTHORITY, "%REQ(:AUTHORITY)%"),
    ];
    let config = Map::typed("envoy.extensions.filters.http.set_filter_state.v3.Config")
        .set("on_request_headers", values);
    Map::new()
        .note("For the access log: the client's path and host, before anything is rewritten.")
        .set("name", "envoy.filters.http.set_filter_state")
        .set("typed_config", config)
}

fn build_object(name: &str, format: &str) -> Map {
    let source = Map::new().set("inline_string", format);
    Map::new()
        .set("object_key", name)
        .set("factory_key", "envoy.string")
        .set(
            "format_string",
            Map::new().set("text_format_source", source),
        )
}

/// Builds a log of JSON lines without queries, cookies or tokens: an authorization code or a reset link in a log is a
/// credential.
pub(crate) fn build_access_log() -> Map {
    let fields = Map::new()
        .set("time", "%START_TIME%")
        .set("request_id", "%REQ(X-REQUEST-ID)%")
        .set("client", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")
        .set("method", "%REQ(:METHOD)%")
        .note(
            "As the client sent them; the upstream may have received others. The path is without its query.",
        )
        .set("authority", format_kept(AUTHORITY, "REQ", ":AUTHORITY"))
        .set("path", format_kept(PATH, "PATH", "NQ:PATH"))
        .set("protocol", "%PROTOCOL%")
        .note("As the module states them; `allow` comes from the route.")
        .set("account", format_property(ACCOUNT_PROPERTY))
        .set(
            "decision",
            coalesce([
                format_operator("FILTER_STATE", &property_key(DECISION_PROPERTY)),
                format_operator("METADATA", &format!("ROUTE:{NAMESPACE}:{DECISION}")),
            ]),
        )
        .set("reasons", format_property(REASONS_PROPERTY))
        .set("status", "%RESPONSE_CODE%")
        .set("details", "%RESPONSE_CODE_DETAILS%")
        .set("flags", "%RESPONSE_FLAGS%")
        .set("upstream", "%UPSTREAM_CLUSTER%")
        .set("endpoint", "%UPSTREAM_HOST%")
        .set("received_bytes", "%BYTES_RECEIVED%")
        .set("sent_bytes", "%BYTES_SENT%")
        .set("duration_ms", "%DURATION%");
    let config = Map::typed("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog")
        .set("log_format", Map::new().set("json_format", fields));
    Map::new()
        .set("name", "envoy.access_loggers.stdout")
        .set("typed_config", config)
}

/// Formats a stored value, or that of the request itself for requests that were refused before the filters.
fn format_kept(name: &str, command: &str, parameter: &str) -> String {
    coalesce([
        format_operator("FILTER_STATE", &format!("{name}:PLAIN")),
        format_operator(command, parameter),
    ])
}

/// Formats a property that the module sets.
fn format_property(name: &str) -> String {
    format!("%FILTER_STATE({})%", property_key(name))
}

/// Returns the key under which Envoy stores a property that a module sets, and the form in which it is written.
fn property_key(name: &str) -> String {
    format!("wasm.{name}:PLAIN")
}

fn format_operator(command: &str, parameter: &str) -> Value {
    serde_json::json!({ "command": command, "param": parameter })
}

/// Formats the first value that there is.
fn coalesce(operators: [Value; 2]) -> String {
    format!(
        "%COALESCE({})%",
        serde_json::json!({ "operators": operators })
    )
}

/// Builds the metadata of a route that only permitted requests take: it states their decision, so that the module need not.
pub(crate) fn build_route_metadata() -> Map {
    let decision = Map::new().set(DECISION, ExplainedDecision::Allow.word());
    Map::new().set("filter_metadata", Map::new().set(NAMESPACE, decision))
}
