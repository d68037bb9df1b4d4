//! Input of the operator: whole configurations, policies, and single values.

use std::net::{IpAddr, Ipv4Addr};

use crate::config::{Config, Route};
use crate::env::Env;
use crate::explain::{ExplainedDecision, Question};
use crate::gate::Gate;
use crate::gate::step::Step;
use crate::http::client_certificate::ClientCertificate;
use crate::http::request::Request;
use crate::http::template::Template;
use crate::store::LocalShared;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// How many routes of one configuration are tried.
const MAX_ASKED: usize = 8;

/// Reads bytes as a configuration in JSON and makes decisions with it.
pub(super) fn config(bytes: &[u8]) {
    if let Ok(value) = crate::json::parse(bytes) {
        config_value(&value);
    }
}

/// Reads a configuration and makes decisions with it.
pub(super) fn config_value(value: &Value) {
    let Ok(loaded) = Config::read(value, &|_| None) else {
        return;
    };
    decide(loaded.config);
}

/// Reads bytes as a policy in JSON, makes a decision with it, and reads what it prints.
pub(super) fn policy(bytes: &[u8]) {
    let Ok(policy) = crate::json::parse(bytes) else {
        return;
    };
    let Some((config, printed)) = with_policy(policy) else {
        return;
    };
    decide(config);
    let again = with_policy(printed.clone()).map(|(_, printed)| printed);
    assert_eq!(again, Some(printed), "a printed policy reads as itself");
}

/// Reads a string as the value of each key with its own syntax: durations, addresses, colours, patterns.
pub(super) fn config_words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for key in [
        "address",
        "cookie_expire",
        "timeout_idle",
        "idp_provider_url",
        "primary_color",
        "cookie_secret",
        "signing_key",
    ] {
        let mut file = minimal();
        file[key] = json!(text);
        config_value(&file);
    }
    for key in [
        "from",
        "to",
        "timeout",
        "path",
        "prefix",
        "regex",
        "prefix_rewrite",
        "regex_rewrite_pattern",
        "redirect",
    ] {
        let mut file = minimal();
        file["routes"][0][key] = json!(text);
        config_value(&file);
    }
    for key in ["set_request_headers", "set_response_headers"] {
        let mut file = minimal();
        file["routes"][0][key] = json!({"x-a": text, text: "b"});
        config_value(&file);
    }
}

/// Reads a string as the value of each criterion with its own syntax: times, zones, networks, fingerprints.
pub(super) fn policy_words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for criterion in [
        json!({"date": {"after": text, "before": text}}),
        json!({"time_of_day": {"timezone": text, "after": "8:00", "before": "9:00"}}),
        json!({"time_of_day": {"timezone": "UTC", "after": text, "before": text}}),
        json!({"day_of_week": text}),
        json!({"source_ip": text}),
        json!({"client_certificate": {"fingerprint": text}}),
        json!({"client_certificate": {"spki_hash": text}}),
        json!({"email": {"ends_with": text}}),
        json!({"http_path": {"starts_with": text}}),
        json!({"http_method": {"is": text}}),
    ] {
        let policy = json!({"allow": {"or": [criterion]}});
        if let Some((config, _)) = with_policy(policy) {
            decide(config);
        }
    }
}

/// Reads bytes as the template of a header value.
pub(super) fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let template = Template::parse(text);
    assert!(template.unknown_references().count() <= template.references().count());
    let rendered = template.render(|_, into| into.push(b'x'));
    assert!(
        rendered.len() <= text.len(),
        "no reference is shorter than its value"
    );
}

/// Returns a configuration with one route that has this policy, and the printed policy.
fn with_policy(policy: Value) -> Option<(Config, Value)> {
    let mut file = minimal();
    file["routes"][0]["policy"] = policy;
    let config = Config::read(&file, &|_| None).ok()?.config;
    let printed = config.routes.first()?.policy.to_value();
    Some((config, printed))
}

/// Returns a configuration with the required keys only.
fn minimal() -> Value {
    json!({
        "insecure_server": true,
        "idp_provider": "oidc",
        "idp_provider_url": "https://idp.example.com",
        "idp_client_id": "id",
        "idp_client_secret": "secret",
        "cookie_secret": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "routes": [{"from": "https://a.example.com", "to": "http://b.example.com",
                    "policy": {"allow": {"or": [{"accept": true}]}}}],
    })
}

fn decide(config: Config) {
    let hosts: Vec<String> = config.routes.iter().take(MAX_ASKED).map(host).collect();
    let gate = Gate::new(config);
    for host in hosts {
        ask(&gate, &host);
    }
}

/// Returns a host that the route matches.
fn host(route: &Route) -> String {
    route.from.authority().replace('*', "any")
}

fn ask(gate: &Gate, host: &str) {
    let headers: Vec<(String, Vec<u8>)> = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", host),
        (":path", "/a/b?c=d"),
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
    .collect();
    let claims = claims();
    let question = Question {
        headers: &headers,
        claims: None,
        source: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        now: Timestamp(1_780_000_000),
        certificate: ClientCertificate::NotAsked,
    };
    let anonymous = gate.explain(&question);
    let _ = gate.explain(&Question {
        claims: Some(&claims),
        certificate: ClientCertificate::Missing,
        ..question
    });

    let mut random = |bytes: &mut [u8]| {
        bytes.fill(7);
        Ok(())
    };
    let mut env = Env {
        now: question.now,
        random: &mut random,
        shared: &LocalShared::default(),
    };
    let request = Request::new(&headers).from(question.source);
    if let Step::Forward(_) = gate.begin(&request, &mut env) {
        assert_eq!(anonymous.decision, ExplainedDecision::Allow);
    }
}

fn claims() -> Map<String, Value> {
    let claims = json!({
        "sub": "1",
        "email": "alice@example.com",
        "email_verified": true,
        "groups": ["a", "b"],
        "nested": {"deep": [1, true, null]},
    });
    match claims {
        Value::Object(claims) => claims,
        _ => Map::new(),
    }
}
