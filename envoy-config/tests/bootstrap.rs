//! What the generated file says, read back from its YAML.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use jetway_core::config::Config;
use jetway_envoy_config::{Error, Options, bootstrap};
use serde_json::{Value, json};

const COOKIE_SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const CLIENT_SECRET: &str = "Zm9vYmFyYmF6-client-secret";

/// A file with one route of each kind, and its secrets inline.
fn file() -> Value {
    json!({
        "certificate_file": "/tls/chain.pem",
        "certificate_key_file": "/tls/key.pem",
        "cookie_secret": COOKIE_SECRET,
        "idp_provider": "oidc",
        "idp_provider_url": "https://idp.example.com/realm",
        "idp_extra_origins": ["https://keys.example.com:8443"],
        "idp_client_id": "jetway",
        "idp_client_secret": CLIENT_SECRET,
        "routes": [
            { "from": "https://ws.example.com", "to": "http://localhost:9090", "allow_websockets": true, "policy": [policy()] },
            { "from": "https://own.example.com", "to": "https://own.internal.example.com", "preserve_host_header": true, "timeout": "5s",
              "policy": [policy()] },
            { "from": "https://ca.example.com", "to": "https://192.0.2.1:8443", "tls_custom_ca_file": "/tls/ca.pem", "policy": [policy()] },
            { "from": "https://any.example.com", "to": "https://any.internal.example.com:9443", "tls_skip_verify": true,
              "policy": [policy()] },
        ],
    })
}

fn policy() -> Value {
    json!({ "allow": { "or": [{ "email": { "is": "alice@example.com" } }] } })
}

fn text(file: &Value, options: &Options) -> Result<String, Error> {
    let loaded = Config::read(file, &|_| None).expect("the file is a configuration");
    bootstrap(&loaded.config, file, options)
}

fn written(file: &Value) -> Value {
    serde_saphyr::from_str(&text(file, &Options::default()).unwrap())
        .expect("the bootstrap is YAML")
}

fn with(key: &str, value: Value) -> Value {
    let mut file = file();
    file[key] = value;
    file
}

fn listener(envoy: &Value) -> &Value {
    &envoy["static_resources"]["listeners"][0]
}

fn http(envoy: &Value) -> &Value {
    &listener(envoy)["filter_chains"][0]["filters"][0]["typed_config"]
}

fn host(envoy: &Value) -> &Value {
    &http(envoy)["route_config"]["virtual_hosts"][0]
}

fn routes(envoy: &Value) -> &Vec<Value> {
    host(envoy)["routes"].as_array().unwrap()
}

fn cluster(envoy: &Value, name: &str) -> Value {
    let all = envoy["static_resources"]["clusters"].as_array().unwrap();
    let mut found = all.iter().filter(|cluster| cluster["name"] == name);
    let cluster = found
        .next()
        .unwrap_or_else(|| panic!("no cluster `{name}`"))
        .clone();
    assert_eq!(found.next(), None, "two clusters `{name}`");
    assert_eq!(cluster["load_assignment"]["cluster_name"], name);
    cluster
}

fn upstream(envoy: &Value, route: usize) -> Value {
    cluster(
        envoy,
        routes(envoy)[route]["route"]["cluster"].as_str().unwrap(),
    )
}

fn address(cluster: &Value) -> &Value {
    &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
}

#[test]
fn no_secret_is_in_the_file() {
    let mut file = file();
    file["shared_secret"] = json!("c2hhcmVkLXNlY3JldA==");
    let text = text(&file, &Options::default()).unwrap();
    for secret in [COOKIE_SECRET, CLIENT_SECRET, "c2hhcmVkLXNlY3JldA=="] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn the_plugin_gets_the_file_as_json_text_and_its_secrets_from_the_environment() {
    let envoy = written(&file());
    let filters = http(&envoy)["http_filters"].as_array().unwrap();
    assert_eq!(filters.len(), 2);
    assert_eq!(filters[1]["name"], "envoy.filters.http.router");
    let config = &filters[0]["typed_config"]["config"];
    assert_eq!(
        config["configuration"]["@type"],
        "type.googleapis.com/google.protobuf.StringValue"
    );
    let plugin: Value =
        serde_json::from_str(config["configuration"]["value"].as_str().unwrap()).unwrap();
    let mut expected = file();
    for secret in ["cookie_secret", "idp_client_secret"] {
        expected.as_object_mut().unwrap().remove(secret);
    }
    assert_eq!(plugin, expected);
    assert_eq!(
        config["vm_config"]["environment_variables"],
        json!({ "host_env_keys": ["COOKIE_SECRET", "IDP_CLIENT_SECRET"] })
    );
}

#[test]
fn a_failed_module_refuses_and_is_started_again() {
    let text = text(&file(), &Options::default()).unwrap();
    let envoy: Value = serde_saphyr::from_str(&text).unwrap();
    let config = &http(&envoy)["http_filters"][0]["typed_config"]["config"];
    assert_eq!(config["failure_policy"], "FAIL_RELOAD");
    assert_eq!(config["fail_open"], Value::Null);
}

#[test]
fn every_upstream_needs_the_name_that_the_module_gives() {
    let envoy = written(&file());
    let ids = Config::read(&file(), &|_| None)
        .unwrap()
        .config
        .routes
        .into_iter()
        .map(|route| route.id)
        .collect::<Vec<_>>();
    let routes = routes(&envoy);
    assert_eq!(routes.len(), ids.len() + 1);
    for (route, id) in routes.iter().zip(&ids) {
        assert_eq!(route["match"]["prefix"], "/");
        assert_eq!(
            route["match"]["headers"][0],
            json!({ "name": "x-jetway-route", "string_match": { "exact": id } })
        );
    }
    let last = &routes[ids.len()];
    assert_eq!(
        last,
        &json!({ "match": { "prefix": "/" }, "direct_response": { "status": 503 } })
    );
    assert!(
        host(&envoy)["request_headers_to_remove"]
            .as_array()
            .unwrap()
            .contains(&json!("x-jetway-route"))
    );
    assert_eq!(
        early_removals(&envoy)[0],
        "x-jetway-route",
        "a client cannot name a route"
    );
}

fn early_removals(envoy: &Value) -> Vec<Value> {
    let mutations =
        &http(envoy)["early_header_mutation_extensions"][0]["typed_config"]["mutations"];
    mutations
        .as_array()
        .unwrap()
        .iter()
        .map(|mutation| mutation["remove"].clone())
        .collect()
}

#[test]
fn websockets_pass_where_the_route_allows_them() {
    let envoy = written(&file());
    let [open, closed, ..] = routes(&envoy).as_slice() else {
        panic!("two routes")
    };
    assert_eq!(open["match"]["headers"].as_array().unwrap().len(), 1);
    assert_eq!(
        open["route"]["upgrade_configs"],
        json!([{ "upgrade_type": "websocket", "enabled": true }])
    );
    assert_eq!(open["route"]["timeout"], "0s");
    assert_eq!(open["route"]["idle_timeout"], "0s");
    assert_eq!(
        closed["match"]["headers"][1],
        json!({ "name": "upgrade", "present_match": false })
    );
    assert_eq!(closed["route"]["upgrade_configs"], Value::Null);
    assert_eq!(closed["route"]["timeout"], "5s");
    assert_eq!(closed["route"]["idle_timeout"], "300s");
    assert_eq!(
        http(&envoy)["upgrade_configs"],
        json!([{ "upgrade_type": "websocket", "enabled": true }])
    );
}

#[test]
fn the_upstream_sees_its_own_name_unless_the_route_keeps_the_public_one() {
    let envoy = written(&file());
    let names = routes(&envoy)
        .iter()
        .map(|route| route["route"]["host_rewrite_literal"].clone())
        .collect::<Vec<_>>();
    assert_eq!(
        names[..4],
        [
            json!("localhost:9090"),
            Value::Null,
            json!("192.0.2.1:8443"),
            json!("any.internal.example.com:9443")
        ]
    );
    for route in &routes(&envoy)[..4] {
        let added = json!([{
            "header": { "key": "x-forwarded-host", "value": "%REQ(:AUTHORITY)%" }, "append_action": "ADD_IF_ABSENT",
        }]);
        assert_eq!(route["request_headers_to_add"], added);
    }
}

#[test]
fn forwarding_headers_of_a_client_count_behind_trusted_proxies_only() {
    let direct = written(&file());
    assert_eq!(http(&direct)["use_remote_address"], true);
    assert_eq!(http(&direct)["xff_num_trusted_hops"], 0);
    assert_eq!(
        early_removals(&direct),
        ["x-jetway-route", "x-forwarded-for", "x-forwarded-host"]
    );

    let behind = written(&with("xff_num_trusted_hops", json!(2)));
    assert_eq!(http(&behind)["use_remote_address"], true);
    assert_eq!(http(&behind)["xff_num_trusted_hops"], 2);
    assert_eq!(early_removals(&behind), ["x-jetway-route"]);
}

#[test]
fn paths_and_headers_have_one_spelling() {
    let envoy = written(&file());
    let http = http(&envoy);
    assert_eq!(http["normalize_path"], true);
    assert_eq!(http["merge_slashes"], true);
    assert_eq!(http["path_with_escaped_slashes_action"], "REJECT_REQUEST");
    assert_eq!(
        http["common_http_protocol_options"]["headers_with_underscores_action"],
        "REJECT_REQUEST"
    );
}

#[test]
fn everything_has_a_limit() {
    let envoy = written(&file());
    let http = http(&envoy);
    for limit in [
        "request_headers_timeout",
        "stream_idle_timeout",
        "max_request_headers_kb",
    ] {
        assert!(!http[limit].is_null(), "{limit}");
    }
    assert_eq!(
        http["http2_protocol_options"]["max_concurrent_streams"],
        100
    );
    assert_eq!(listener(&envoy)["per_connection_buffer_limit_bytes"], 32768);
    let monitor = &envoy["overload_manager"]["resource_monitors"][0]["typed_config"];
    assert_eq!(monitor["max_active_downstream_connections"], 50_000);
}

#[test]
fn the_log_has_no_query_and_no_header_that_holds_a_credential() {
    let envoy = written(&file());
    let format =
        http(&envoy)["access_log"][0]["typed_config"]["log_format"]["json_format"].to_string();
    for word in [
        "REQ(:PATH)",
        "ORIGINAL-PATH",
        "COOKIE",
        "AUTHORIZATION",
        "REFERER",
    ] {
        assert!(!format.to_uppercase().contains(word), "{format}");
    }
}

#[test]
fn the_listener_speaks_tls_with_the_files() {
    let envoy = written(&with("address", json!("127.0.0.1:8443")));
    assert_eq!(
        listener(&envoy)["address"]["socket_address"],
        json!({ "address": "127.0.0.1", "port_value": 8443 })
    );
    let tls = &listener(&envoy)["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"];
    let certificate = json!({ "certificate_chain": { "filename": "/tls/chain.pem" }, "private_key": { "filename": "/tls/key.pem" } });
    assert_eq!(tls["tls_certificates"], json!([certificate]));
    assert_eq!(tls["alpn_protocols"], json!(["h2", "http/1.1"]));
    assert_eq!(tls["tls_params"]["tls_minimum_protocol_version"], "TLSv1_2");
}

#[test]
fn an_insecure_listener_speaks_plain_http() {
    let mut file = with("insecure_server", json!(true));
    for key in ["certificate_file", "certificate_key_file"] {
        file.as_object_mut().unwrap().remove(key);
    }
    let envoy = written(&file);
    assert_eq!(
        listener(&envoy)["filter_chains"][0]["transport_socket"],
        Value::Null
    );
}

#[test]
fn upstreams_are_found_and_checked_as_the_route_says() {
    let envoy = written(&file());
    let local = upstream(&envoy, 0);
    assert_eq!(
        (&local["type"], address(&local)),
        (
            &json!("STATIC"),
            &json!({ "address": "127.0.0.1", "port_value": 9090 })
        )
    );
    assert_eq!(local["transport_socket"], Value::Null);
    assert_eq!(local["connect_timeout"], "10s");

    let named = upstream(&envoy, 1);
    assert_eq!(
        (&named["type"], &address(&named)["address"]),
        (&json!("STRICT_DNS"), &json!("own.internal.example.com"))
    );
    let tls = &named["transport_socket"]["typed_config"];
    assert_eq!(tls["sni"], "own.internal.example.com");
    assert_eq!(
        tls["common_tls_context"]["validation_context"],
        checked(
            "DNS",
            "own.internal.example.com",
            "/etc/ssl/certs/ca-certificates.crt"
        )
    );

    let numbered = upstream(&envoy, 2);
    assert_eq!(
        (&numbered["type"], &address(&numbered)["port_value"]),
        (&json!("STATIC"), &json!(8443))
    );
    let tls = &numbered["transport_socket"]["typed_config"];
    assert_eq!(tls["sni"], Value::Null);
    assert_eq!(
        tls["common_tls_context"]["validation_context"],
        checked("IP_ADDRESS", "192.0.2.1", "/tls/ca.pem")
    );

    let unchecked = upstream(&envoy, 3);
    let tls = &unchecked["transport_socket"]["typed_config"];
    assert_eq!(tls["sni"], "any.internal.example.com");
    assert_eq!(tls["common_tls_context"]["validation_context"], Value::Null);
}

fn checked(kind: &str, name: &str, authorities: &str) -> Value {
    json!({
        "trusted_ca": { "filename": authorities },
        "match_typed_subject_alt_names": [{ "san_type": kind, "matcher": { "exact": name } }],
    })
}

#[test]
fn the_provider_has_a_cluster_per_origin_under_the_name_the_module_calls() {
    let envoy = written(&file());
    for (name, host, port) in [
        ("https://idp.example.com", "idp.example.com", 443),
        ("https://keys.example.com:8443", "keys.example.com", 8443),
    ] {
        let cluster = cluster(&envoy, name);
        assert_eq!(
            address(&cluster),
            &json!({ "address": host, "port_value": port })
        );
        let tls = &cluster["transport_socket"]["typed_config"];
        assert_eq!(tls["sni"], host);
        assert_eq!(
            tls["common_tls_context"]["validation_context"],
            checked("DNS", host, "/etc/ssl/certs/ca-certificates.crt")
        );
    }
}

#[test]
fn options_are_used() {
    let options = Options {
        module_path: "/opt/module.wasm".to_owned(),
        trusted_ca_path: "/opt/ca.pem".to_owned(),
        admin: Some(([127, 0, 0, 1], 9901).into()),
        connect_timeout: Duration::from_secs(3),
        max_connections: 7,
    };
    let envoy: Value = serde_saphyr::from_str(&text(&file(), &options).unwrap()).unwrap();
    assert_eq!(
        http(&envoy)["http_filters"][0]["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"],
        "/opt/module.wasm"
    );
    assert_eq!(
        envoy["admin"]["address"]["socket_address"],
        json!({ "address": "127.0.0.1", "port_value": 9901 })
    );
    let monitor = &envoy["overload_manager"]["resource_monitors"][0]["typed_config"];
    assert_eq!(monitor["max_active_downstream_connections"], 7);
    let provider = cluster(&envoy, "https://idp.example.com");
    assert_eq!(provider["connect_timeout"], "3s");
    let context =
        &provider["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"];
    assert_eq!(context["trusted_ca"]["filename"], "/opt/ca.pem");
}

#[test]
fn there_is_no_admin_port_unless_asked_for_and_never_in_public() {
    assert_eq!(written(&file())["admin"], Value::Null);
    let address = ([192, 0, 2, 1], 9901).into();
    let options = Options {
        admin: Some(address),
        ..Options::default()
    };
    assert_eq!(text(&file(), &options), Err(Error::AdminAddress(address)));
}

#[test]
fn tls_without_a_certificate_is_refused() {
    let mut file = file();
    for key in ["certificate_file", "certificate_key_file"] {
        file.as_object_mut().unwrap().remove(key);
    }
    assert_eq!(text(&file, &Options::default()), Err(Error::NoCertificate));
}
