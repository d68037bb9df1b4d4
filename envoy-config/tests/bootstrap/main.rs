//! The contents of the generated file, read back from its YAML.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod client_certificates;
mod limits;
mod listener;
mod local_reply;
mod plugin;
mod routes;
mod upstream_tls;
mod upstreams;

use jetway_core::config::Config;
use jetway_envoy_config::{Error, Options, generate_bootstrap};
use serde_json::{Value, json};

const COOKIE_SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const CLIENT_SECRET: &str = "Zm9vYmFyYmF6-client-secret";

/// PEM blocks as far as anything looks at them here.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----";
const LIST: &str = "-----BEGIN X509 CRL-----\nBBBB\n-----END X509 CRL-----";

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

/// The same with only this route, which leads from `app.example.com` and permits alice.
fn only(mut route: Value) -> Value {
    let mut file = file();
    route["from"] = json!("https://app.example.com");
    route["policy"] = json!([policy()]);
    file["routes"] = json!([route]);
    file
}

fn policy() -> Value {
    json!({ "allow": { "or": [{ "email": { "is": "alice@example.com" } }] } })
}

fn text(file: &Value, options: &Options) -> Result<String, Error> {
    let loaded = Config::read(file, &|_| None).expect("the file is a configuration");
    generate_bootstrap(&loaded.config, file, options)
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

fn endpoints(cluster: &Value) -> &Value {
    &cluster["load_assignment"]["endpoints"]
}

fn address(cluster: &Value) -> &Value {
    &endpoints(cluster)[0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
}
