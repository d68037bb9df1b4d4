//! Explanations agree with what the gate does.

use serde_json::{Value, json};

use super::world::{HTML, World, request, status};
use crate::explain::{ExplainedDecision, Explanation, Question};
use crate::gate::*;
use crate::http::client_certificate::ClientCertificate;
use crate::testing::config;
use crate::time::Timestamp;

fn explain(gate: &Gate, method: &str, path: &str, claims: Option<&Value>) -> Explanation {
    let headers = request(method, "app.test", path, &[HTML]);
    gate.explain(&Question {
        headers: &headers,
        claims: claims.and_then(Value::as_object),
        source: "192.0.2.7".parse().ok(),
        now: Timestamp(1_800_000_000),
        certificate: ClientCertificate::NotAsked,
    })
}

fn gate(policy: &Value) -> Gate {
    Gate::new(config(&json!({"routes": [
        {"name": "app", "from": "https://app.test", "to": "http://127.0.0.1:1", "policy": policy},
    ]})))
}

#[test]
fn the_policy_is_told_criterion_by_criterion() {
    let gate = gate(&json!([
        {"allow": {"or": [{"domain": {"is": "x.test"}}, {"groups": {"has": "admins"}}]}},
        {"deny": {"or": [{"source_ip": "10.0.0.0/8"}]}},
    ]));
    let bob = json!({"sub": "b", "email": "bob@y.test", "groups": ["staff", "admins"]});
    let told = explain(&gate, "GET", "/", Some(&bob));
    assert_eq!(
        (told.decision, told.status),
        (ExplainedDecision::Allow, 200)
    );
    assert_eq!(told.reasons, ["groups-ok"]);
    assert_eq!(told.route.unwrap().name, "app");
    let criteria = &told.allow[0].criteria;
    assert_eq!(
        (
            criteria[0].criterion.as_str(),
            criteria[0].holds,
            criteria[0].reason.as_str(),
            criteria[0].looked_at.as_str()
        ),
        (
            "domain: {is: x.test}",
            false,
            "domain-unauthorized",
            "bob@y.test"
        )
    );
    assert_eq!(
        criteria[1].looked_at, "[staff, admins]",
        "with the values that no policy names"
    );
    assert_eq!(told.deny[0].criteria[0].looked_at, "192.0.2.7");
}

#[test]
fn every_way_out_has_its_decision_and_status() {
    let people = json!({"allow": {"or": [{"email": "a@x.test"}]}});
    let people = gate(&people);
    let public = gate(&json!({"allow": {"or": [{"accept": true}]}}));
    let mallory = json!({"sub": "m", "email": "m@x.test"});
    let unverified = json!({"sub": "a", "email": "a@x.test", "email_verified": false});
    use ExplainedDecision::{Allow, Deny, Login};
    for (gate, method, path, claims, decision, expected) in [
        (&people, "GET", "/", None, Login, 303),
        (&people, "POST", "/", None, Login, 401),
        (&people, "GET", "/", Some(&mallory), Deny, 403),
        (&people, "GET", "/", Some(&unverified), Deny, 403),
        (&people, "GET", "/ping", None, Allow, 200),
        (&people, "POST", "/ping", None, Deny, 405),
        (&people, "GET", "/.pomerium/nothing", None, Deny, 404),
        (&people, "GET", "/.pomerium/sign_in", None, Login, 303),
        (&people, "GET", "/.pomerium/callback", None, Deny, 400),
        (&people, "GET", "/a%2fb", None, Deny, 400),
        (&people, "TRACE", "/", None, Deny, 405),
        (&public, "GET", "/", None, Allow, 200),
    ] {
        let told = explain(gate, method, path, claims);
        assert_eq!(
            (told.decision, told.status),
            (decision, expected),
            "{method} {path}: {told:?}"
        );
        assert!(!told.summary.is_empty());
    }
    let elsewhere = request("GET", "else.test", "/", &[]);
    let told = people.explain(&Question {
        headers: &elsewhere,
        claims: None,
        source: None,
        now: Timestamp(0),
        certificate: ClientCertificate::NotAsked,
    });
    assert_eq!((told.decision, told.status), (Deny, 404));
    assert_eq!(told.reasons, ["route-not-found"]);
}

#[test]
fn what_is_refused_before_any_route_is_told_in_words() {
    let gate = gate(&json!({"allow": {"or": [{"accept": true}]}}));
    for (host, path, status, word, part) in [
        ("app.test.", "/", 400, "bad-host", "ends with a dot"),
        ("app.test", "/a%2fb", 400, "bad-path", "in different ways"),
        ("app.test:99", "/", 421, "misdirected", "not by this port"),
    ] {
        let headers = request("GET", host, path, &[]);
        let told = gate.explain(&Question {
            headers: &headers,
            claims: None,
            source: None,
            now: Timestamp(0),
            certificate: ClientCertificate::NotAsked,
        });
        assert!(told.route.is_none());
        assert_eq!(told.status, status);
        assert_eq!(told.reasons, [word]);
        assert!(told.summary.contains(part), "{}", told.summary);
    }
}

/// A user who signs in gets what was explained before.
#[test]
fn explanations_come_true() {
    let mut world = World::new();
    for (email, expected) in [("alice@corp.test", 200), ("mallory@corp.test", 403)] {
        let jar = world.sign_in("app.test", "/", email);
        let met = status(&world.visit("app.test", "/", &jar));
        let claims = json!({"sub": email, "email": email, "email_verified": true});
        let told = explain(&world.gate, "GET", "/", Some(&claims));
        assert_eq!((told.status, met), (expected, expected), "{email}");
    }
}
