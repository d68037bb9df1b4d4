//! One line per request on standard output.

use crate::yaml::Map;

/// JSON lines without queries, cookies or tokens: an authorization code or a reset link in a log is a credential there.
pub(crate) fn stdout() -> Map {
    let fields = Map::new()
        .set("time", "%START_TIME%")
        .set("request_id", "%REQ(X-REQUEST-ID)%")
        .set("client", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")
        .set("method", "%REQ(:METHOD)%")
        .note("The public name; the upstream may have got its own.")
        .set("authority", "%REQ(X-FORWARDED-HOST?:AUTHORITY)%")
        .note("Without its query; the path that the upstream got.")
        .set("path", "%PATH(NQ:PATH)%")
        .set("protocol", "%PROTOCOL%")
        .set("status", "%RESPONSE_CODE%")
        .set("details", "%RESPONSE_CODE_DETAILS%")
        .set("flags", "%RESPONSE_FLAGS%")
        .set("upstream", "%UPSTREAM_CLUSTER%")
        .set("received_bytes", "%BYTES_RECEIVED%")
        .set("sent_bytes", "%BYTES_SENT%")
        .set("duration_ms", "%DURATION%");
    let config = Map::typed("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog")
        .set("log_format", Map::new().set("json_format", fields));
    Map::new()
        .set("name", "envoy.access_loggers.stdout")
        .set("typed_config", config)
}
