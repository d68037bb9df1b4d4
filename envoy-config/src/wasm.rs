//! The filter that runs Jetway's module.

use std::time::Duration;

use jetway_core::config::Listener;
use jetway_core::contract::SECRET_VARIABLES;

use crate::yaml::{Map, Yaml};
use crate::{Error, Options, plugin};

/// How soon a module that failed is started again, at the earliest; Envoy doubles it while it goes on failing.
const RELOAD_BACKOFF: Duration = Duration::from_secs(1);

/// The HTTP filter.
pub(crate) fn filter(
    file: &serde_json::Value,
    listener: &Listener,
    options: &Options,
) -> Result<Map, Error> {
    let backoff = Map::new().set("backoff", Map::new().set("base_interval", RELOAD_BACKOFF));
    let config = Map::new()
        .set("name", "jetway")
        .set("root_id", "jetway")
        .note("A module that failed refuses requests and is started again. `FAIL_OPEN` would let everybody in.")
        .set("failure_policy", "FAIL_RELOAD")
        .set("reload_config", backoff)
        .note("Lets the module read a body before it decides: the provider sends it logout tokens.")
        .set("allow_on_headers_stop_iteration", true)
        .set("vm_config", machine(options))
        .note("What the module reads of the Jetway file.")
        .set("configuration", configuration(file, listener)?);
    let typed = Map::typed("envoy.extensions.filters.http.wasm.v3.Wasm").set("config", config);
    Ok(Map::new().set("name", "jetway").set("typed_config", typed))
}

fn machine(options: &Options) -> Map {
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

/// JSON text: a Protocol Buffers structure would reach the module as bytes in no certain order.
fn configuration(file: &serde_json::Value, listener: &Listener) -> Result<Map, Error> {
    let text = plugin::configuration(file, !listener.insecure)?;
    Ok(Map::typed("google.protobuf.StringValue").set("value", Yaml::Block(text)))
}
