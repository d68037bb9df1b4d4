//! Builds the filter that runs Jetway's module.

use std::time::Duration;

use jetway_core::config::Listener;
use jetway_core::contract::SECRET_VARIABLES;

use crate::yaml::{Map, Yaml};
use crate::{Error, Options, plugin};

/// Shortest interval before a failed module is started again; Envoy doubles it while the module keeps failing.
const RELOAD_BACKOFF: Duration = Duration::from_secs(1);

/// Builds the HTTP filter.
pub(crate) fn build_filter(
    file: &serde_json::Value,
    listener: &Listener,
    options: &Options,
) -> Result<Map, Error> {
    let backoff = Map::new().set("backoff", Map::new().set("base_interval", RELOAD_BACKOFF));
    let config = Map::new()
        .set("name", "jetway")
        .set("root_id", "jetway")
        .note("A failed module refuses requests and is started again. `FAIL_OPEN` would permit every request.")
        .set("failure_policy", "FAIL_RELOAD")
        .set("reload_config", backoff)
        .note("Lets the module read a body before it decides, which logout tokens from the provider need.")
        .set("allow_on_headers_stop_iteration", true)
        .set("vm_config", build_vm_config(options))
        .note("The part of the Jetway file that the module reads.")
        .set("configuration", build_configuration(file, listener)?);
    let typed = Map::typed("envoy.extensions.filters.http.wasm.v3.Wasm").set("config", config);
    Ok(Map::new().set("name", "jetway").set("typed_config", typed))
}

fn build_vm_config(options: &Options) -> Map {
    let code = Map::new().set(
        "local",
        Map::new().set("filename", options.module_path.as_str()),
    );
    let variables = SECRET_VARIABLES.map(|(_, variable)| variable).to_vec();
    Map::new()
        .set("vm_id", "jetway")
        .set("runtime", "envoy.wasm.runtime.v8")
        .set("code", code)
        .note("Secrets come from Envoy's environment.")
        .set(
            "environment_variables",
            Map::new().set("host_env_keys", variables),
        )
}

/// Builds the plugin configuration as a JSON string: a Protocol Buffers structure would reach the module with its fields in
/// an unspecified order.
fn build_configuration(file: &serde_json::Value, listener: &Listener) -> Result<Map, Error> {
    let text = plugin::render_configuration(file, !listener.insecure)?;
    Ok(Map::typed("google.protobuf.StringValue").set("value", Yaml::Block(text)))
}
