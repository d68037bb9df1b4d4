//! The whole file.

use jetway_core::config::Config;
use jetway_core::contract::SECRET_VARIABLES;

use crate::yaml::{self, Map, Yaml};
use crate::{Error, Options, cluster, listener, plugin};

/// Prints an Envoy 1.40 bootstrap (YAML) that does what the bundled host does with the same configuration.
///
/// `config` is the configuration that was read from `file`; `file` is the operator's file as JSON, in which values that
/// environment variables overrode have been replaced. It becomes the plugin's configuration without its secrets: Envoy
/// hands those to the module from its own environment ([`SECRET_VARIABLES`]).
///
/// # Errors
/// A setting that cannot be used with Envoy, see [`Error`].
pub fn bootstrap(
    config: &Config,
    file: &serde_json::Value,
    options: &Options,
) -> Result<String, Error> {
    let map = Map::new()
        .note("For logs and metrics only.")
        .set(
            "node",
            Map::new().set("id", "jetway").set("cluster", "jetway"),
        )
        .set_some("admin", admin(options)?)
        .set("overload_manager", overload_manager(options))
        .set(
            "static_resources",
            Map::new()
                .set(
                    "listeners",
                    vec![listener::listener(config, file, options)?],
                )
                .set("clusters", cluster::clusters(config, options)?),
        );
    Ok(yaml::document(&heading(config, file, options), &map))
}

fn heading(config: &Config, file: &serde_json::Value, options: &Options) -> String {
    let mut lines = vec![
        "Envoy with Jetway's module. Written by `jetway envoy-config`; change the Jetway file and write this one again."
            .to_owned(),
    ];
    if let Some(variables) = needed_variables(file) {
        lines.push(format!(
            "Envoy needs the secrets of the Jetway file in its environment, as {variables}:\n\
             none of them stands in this file, because Envoy's admin port would show it."
        ));
    }
    if sets_headers(config) {
        lines.push(
            "What `set_request_headers` sets stands in this file as it is written: if some of it is a secret, so is this file."
                .to_owned(),
        );
    }
    lines.push(format!(
        "The module: `jetway filter > {}`",
        options.module_path
    ));
    lines.join("\n")
}

/// The variables of those secrets that the file has, as a phrase.
fn needed_variables(file: &serde_json::Value) -> Option<String> {
    let needed = SECRET_VARIABLES
        .iter()
        .filter(|(key, _)| plugin::has_secret(file, key))
        .map(|(_, variable)| *variable)
        .collect::<Vec<_>>();
    match needed.as_slice() {
        [] => None,
        [only] => Some((*only).to_owned()),
        [first @ .., last] => Some(format!("{} and {last}", first.join(", "))),
    }
}

fn sets_headers(config: &Config) -> bool {
    config
        .routes
        .iter()
        .any(|route| !route.request_headers.set.is_empty())
}

/// The admin port: it prints the configuration and can stop Envoy, and asks nobody who they are.
fn admin(options: &Options) -> Result<Option<Map>, Error> {
    let Some(address) = options.admin else {
        return Ok(None);
    };
    if !address.ip().is_loopback() {
        return Err(Error::AdminAddress(address));
    }
    Ok(Some(Map::new().set(
        "address",
        socket_address(&address.ip().to_string(), address.port()),
    )))
}

/// A limit for the whole process: without one, open connections can use up its memory and file descriptors.
fn overload_manager(options: &Options) -> Map {
    let limit = Map::typed(
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
    )
    .set("max_active_downstream_connections", options.max_connections);
    let monitor = Map::new()
        .set(
            "name",
            "envoy.resource_monitors.global_downstream_max_connections",
        )
        .set("typed_config", limit);
    Map::new()
        .note("More client connections than this are closed at once, so that they cannot use up memory and descriptors.")
        .set("resource_monitors", vec![monitor])
}

/// An `envoy.config.core.v3.Address`.
pub(crate) fn socket_address(ip: &str, port: u16) -> Yaml {
    Map::new()
        .set(
            "socket_address",
            Map::new().set("address", ip).set("port_value", port),
        )
        .into()
}
