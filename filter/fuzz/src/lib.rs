//! What the fuzz targets run. The tests of `jetway-core` include this file and run it, too.

use std::net::{IpAddr, Ipv4Addr};

use jetway_core::config::{Config, Route};
use jetway_core::env::{Env, Timestamp};
use jetway_core::explain::{ExplainedDecision, Question};
use jetway_core::gate::Gate;
use jetway_core::policy::ClientCertificate;
use jetway_core::request::Request;
use jetway_core::shared::LocalShared;
use jetway_core::step::Step;
use serde_json::{Map, Value, json};

/// Routes of one configuration that are asked for a decision.
const MAX_ASKED: usize = 8;

/// Reads bytes as a configuration in JSON, and asks it for decisions.
pub fn config(bytes: &[u8]) {
    if let Ok(value) = jetway_core::json::parse(bytes) {
        config_value(&value);
    }
}

/// Reads a configuration, and asks it for decisions.
pub fn config_value(value: &Value) {
    let Ok(loaded) = Config::read(value, &|_| None) else {
        return;
    };
    decide(loaded.config);
}

/// Reads bytes as a policy in JSON, asks it for a decision, and reads again what it prints.
pub fn policy(bytes: &[u8]) {
    let Ok(policy) = jetway_core::json::parse(bytes) else {
        return;
    };
    let Some((config, printed)) = with_policy(policy) else {
        return;
    };
    decide(config);
    let again = with_policy(printed.clone()).map(|(_, printed)| printed);
    assert_eq!(again, Some(printed), "a printed policy reads as itself");
}

/// A configuration with one route that has this policy, and the policy as it prints.
fn with_policy(policy: Value) -> Option<(Config, Value)> {
    let file = json!({
        "insecure_server": true,
        "idp_provider": "oidc",
        "idp_provider_url": "https://idp.example.com",
        "idp_client_id": "id",
        "idp_client_secret": "secret",
        "cookie_secret": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "routes": [{"from": "https://a.example.com", "to": "http://b.example.com", "policy": policy}],
    });
    let config = Config::read(&file, &|_| None).ok()?.config;
    let printed = config.routes.first()?.policy.to_value();
    Some((config, printed))
}

fn decide(config: Config) {
    let hosts: Vec<String> = config.routes.iter().take(MAX_ASKED).map(host).collect();
    let gate = Gate::new(config);
    for host in hosts {
        ask(&gate, &host);
    }
}

/// A host that the route is for.
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
