//! One line per request on standard output.

use crate::yaml::Map;

/// Names under which [`keep`] remembers what the client asked for.
const PATH: &str = "jetway.path";
const AUTHORITY: &str = "jetway.authority";

/// The HTTP filter, in front of the module, that remembers path and name as the client asked for them: the module and
/// the route may change both on the way to the upstream. The query is not remembered, and the upstream sees none of it.
pub(crate) fn keep() -> Map {
    let values = vec![
        kept(PATH, "%PATH(NQ:PATH)%"),
        kept(AUTHORITY, "%REQ(:AUTHORITY)%"),
    ];
    let config = Map::typed("envoy.extensions.filters.http.set_filter_state.v3.Config")
        .set("on_request_headers", values);
    Map::new()
        .note("For the access log: what the client asked for, before anything is rewritten.")
        .set("name", "envoy.filters.http.set_filter_state")
        .set("typed_config", config)
}

fn kept(name: &str, format: &str) -> Map {
    let source = Map::new().set("inline_string", format);
    Map::new()
        .set("object_key", name)
        .set("factory_key", "envoy.string")
        .set(
            "format_string",
            Map::new().set("text_format_source", source),
        )
}

/// JSON lines without queries, cookies or tokens: an authorization code or a reset link in a log is a credential there.
pub(crate) fn stdout() -> Map {
    let fields = Map::new()
        .set("time", "%START_TIME%")
        .set("request_id", "%REQ(X-REQUEST-ID)%")
        .set("client", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")
        .set("method", "%REQ(:METHOD)%")
        .note(
            "As the client asked; the upstream may have got others. The path is without its query.",
        )
        .set("authority", asked(AUTHORITY, "REQ", ":AUTHORITY"))
        .set("path", asked(PATH, "PATH", "NQ:PATH"))
        .set("protocol", "%PROTOCOL%")
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

/// What was remembered; the request's own for those that were refused before the filters.
fn asked(name: &str, command: &str, parameter: &str) -> String {
    let operator = |command: &str, parameter: &str| serde_json::json!({ "command": command, "param": parameter });
    let operators = [
        operator("FILTER_STATE", &format!("{name}:PLAIN")),
        operator(command, parameter),
    ];
    format!(
        "%COALESCE({})%",
        serde_json::json!({ "operators": operators })
    )
}
