//! The module and its configuration.

use std::collections::BTreeMap;

use super::*;
use jetway_core::config::{Route, Target, UpstreamTls};
use jetway_core::contract::SECRET_VARIABLES;

#[test]
fn no_secret_is_in_the_file() {
    let mut file = everything();
    file["shared_secret"] = json!("c2hhcmVkLXNlY3JldA==");
    let text = text(&file, &Options::default()).unwrap();
    for secret in [COOKIE_SECRET, CLIENT_SECRET, "c2hhcmVkLXNlY3JldA=="] {
        assert!(!text.contains(secret), "{secret}");
    }
}

/// A file that uses what the module and Envoy both read.
fn everything() -> Value {
    let mut file = file();
    for (key, value) in [
        ("use_proxy_protocol", json!(true)),
        (
            "downstream_mtls",
            json!({ "ca": CERTIFICATE, "enforcement": "policy" }),
        ),
        ("default_upstream_timeout", json!("1m")),
    ] {
        file[key] = value;
    }
    let more = json!([
        { "from": "https://*.wild.example.com", "prefix": "/a", "prefix_rewrite": "/b", "host_rewrite": "inner.example.com",
          "to": ["https://a.example.com,3", "https://192.0.2.1:8443,1"], "tls_custom_ca": CERTIFICATE,
          "tls_client_cert": CERTIFICATE, "tls_client_key_file": "/tls/client.key",
          "set_request_headers": { "signing_key": "a header" }, "policy": [policy()] },
        { "from": "https://old.example.com", "redirect": { "host_redirect": "new.example.com" }, "policy": [policy()] },
    ]);
    let routes = file["routes"].as_array_mut().unwrap();
    routes.extend(more.as_array().unwrap().iter().cloned());
    file
}

#[test]
fn the_plugin_gets_the_file_as_json_text_and_its_secrets_from_the_environment() {
    let envoy = written(&file());
    let config = plugin(&envoy);
    assert_eq!(
        config["configuration"]["@type"],
        "type.googleapis.com/google.protobuf.StringValue"
    );
    let plugin: Value =
        serde_json::from_str(config["configuration"]["value"].as_str().unwrap()).unwrap();
    let mut expected = file();
    for key in ["cookie_secret", "idp_client_secret"] {
        expected.as_object_mut().unwrap().remove(key);
    }
    for route in expected["routes"].as_array_mut().unwrap() {
        for key in ["timeout", "tls_custom_ca_file", "tls_skip_verify"] {
            route.as_object_mut().unwrap().remove(key);
        }
    }
    assert_eq!(plugin, expected);
    assert_eq!(
        config["vm_config"]["environment_variables"],
        json!({ "host_env_keys": SECRET_VARIABLES.map(|(_, variable)| variable) })
    );
}

fn plugin(envoy: &Value) -> &Value {
    &http(envoy)["http_filters"][1]["typed_config"]["config"]
}

#[test]
fn the_module_stands_between_the_log_and_the_router() {
    let envoy = written(&file());
    let names = http(&envoy)["http_filters"].as_array().unwrap();
    let names = names.iter().map(|filter| &filter["name"]);
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            "envoy.filters.http.set_filter_state",
            "jetway",
            "envoy.filters.http.router"
        ]
    );
}

/// The parts that are taken out must change nothing for the module: above all not the names of the routes.
#[test]
fn the_module_reads_the_same_from_its_configuration() {
    the_same(&everything());
    let mut plain = file();
    plain["insecure_server"] = json!(true);
    plain["xff_num_trusted_hops"] = json!(2);
    the_same(&plain);
}

fn the_same(file: &Value) {
    let envoy = written(file);
    let inner: Value =
        serde_json::from_str(plugin(&envoy)["configuration"]["value"].as_str().unwrap()).unwrap();
    let secrets = SECRET_VARIABLES.map(|(key, variable)| (variable, file[key].as_str()));
    let secrets = BTreeMap::from(secrets);
    let environment = |name: &str| secrets.get(name).copied().flatten().map(str::to_owned);
    let read = |file: &Value| {
        let mut config = Config::read(file, &environment).unwrap().config;
        config.routes.iter_mut().for_each(forget_connections);
        let asked = config.listener.client_authority.is_some();
        format!(
            "{asked} {:?} {:#?} {:#?} {:#?} {:#?}",
            config.listener.trusted_proxies(),
            config.routes,
            config.provider,
            config.session,
            config.identity
        )
    };
    let (inner, outer) = (read(&inner), read(file));
    assert!(inner == outer, "{inner}\nis not\n{outer}");
}

/// How an upstream is reached is Envoy's business.
fn forget_connections(route: &mut Route) {
    route.timeout = None;
    route.idle_timeout = None;
    if let Target::Upstreams(upstreams) = &mut route.target {
        upstreams.tls = UpstreamTls::default();
    }
}

#[test]
fn the_heading_names_the_secrets_that_envoy_has_to_be_given() {
    let mut file = file();
    let heading = |file: &Value| {
        let text = text(file, &Options::default()).unwrap();
        text.lines()
            .take_while(|line| line.starts_with('#'))
            .collect::<String>()
    };
    assert!(heading(&file).contains("as COOKIE_SECRET and IDP_CLIENT_SECRET."));
    file.as_object_mut().unwrap().remove("idp_client_secret");
    assert!(heading(&file).contains("as COOKIE_SECRET."));
    assert!(!heading(&file).contains("set_request_headers"));
    assert!(heading(&everything()).contains("set_request_headers"));
}

#[test]
fn a_failed_module_refuses_and_is_started_again() {
    let text = text(&file(), &Options::default()).unwrap();
    let envoy: Value = serde_saphyr::from_str(&text).unwrap();
    let config = plugin(&envoy);
    assert_eq!(config["failure_policy"], "FAIL_RELOAD");
    assert_eq!(config["fail_open"], Value::Null);
}
