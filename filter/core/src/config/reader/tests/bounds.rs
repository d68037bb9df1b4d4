//! Large, deep and arbitrary files.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{guide, merged, read};
use crate::config::key::{Key, Kind};
use crate::config::keys::{GLOBAL, ROUTE};

#[test]
fn ten_thousand_routes_are_read() {
    let mut file = guide();
    file["routes"] = (0..10_000)
        .map(|number| {
            json!({
                "from": format!("https://app{number}.example.com"),
                "to": "http://localhost:9090",
                "allowed_users": ["alice@example.com"],
                "set_request_headers": {"X-A": "b"},
            })
        })
        .collect();
    let config = read(&file).unwrap().config;
    assert_eq!(config.routes.len(), 10_000);
    let ids: std::collections::BTreeSet<&str> = config
        .routes
        .iter()
        .map(|route| route.id.as_str())
        .collect();
    assert_eq!(ids.len(), 10_000);
}

#[test]
fn too_many_routes_are_a_problem() {
    let mut file = guide();
    file["routes"] = vec![Value::Null; 20_001].into();
    let error = read(&file).unwrap_err();
    assert!(
        error
            .problems
            .iter()
            .any(|problem| problem.message.contains("more than 20000 routes")),
        "{error}"
    );
}

#[test]
fn a_hundred_thousand_criteria_are_read() {
    let criteria: Vec<Value> = (0..100_000)
        .map(|number| json!({"email": {"is": format!("user{number}@example.com")}}))
        .collect();
    assert!(read(&merged(json!({"policy": {"allow": {"or": criteria}}}))).is_ok());
}

#[test]
fn a_hundred_thousand_unknown_keys_are_survived() {
    let unknown: Map<String, Value> = (0..100_000)
        .map(|number| (format!("allow_websockets{number}"), json!(1)))
        .collect();
    let loaded = read(&merged(Value::Object(unknown))).unwrap();
    assert!(loaded.warnings.len() <= 200);
}

#[test]
fn many_problems_are_cut() {
    let mut file = guide();
    file["routes"] = vec![json!({"from": "x"}); 5_000].into();
    assert!(read(&file).unwrap_err().problems.len() <= 200);
}

/// Any JSON.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(ROUTE), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Texts that are nearly right somewhere.
fn text() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "https://*.a.test:8443",
        "http://a/b,3",
        "http://[::1]:9/..",
        "30s",
        "1h-5",
        "true",
        "/a/%zz",
        "^(a|b)*$",
        r"\1\\$",
        "${pomerium.jwt}",
        "$$${",
        "x-a",
        "-----BEGIN CERTIFICATE-----",
        "LS0tLS1CRUdJTiA=",
        "{\"a\":1}",
        "websocket",
        "uri",
        "policy",
        "é\u{85}\n",
    ])
}

/// Names of the table, and of what may stand below its keys.
fn name(table: &'static [Key]) -> impl Strategy<Value = String> {
    let mut names: Vec<String> = Vec::new();
    for key in table {
        names.push(key.name.to_owned());
        if let Kind::Map(below) | Kind::MapList(below) = key.kind {
            names.extend(below.iter().map(|key| key.name.to_owned()));
        }
    }
    prop_oneof![8 => prop::sample::select(names), 1 => "[A-Za-z_.]{0,8}"]
}

fn object(table: &'static [Key]) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(name(table), value(), 0..8)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #[test]
    fn any_file_is_survived(mut file in object(GLOBAL), routes in prop::collection::vec(object(ROUTE), 0..3), good in any::<bool>()) {
        if good {
            for (key, value) in guide().as_object().unwrap() {
                file[key] = value.clone();
            }
            for route in &routes {
                file["routes"].as_array_mut().unwrap().push(route.clone());
            }
        }
        match read(&file) {
            Ok(loaded) => prop_assert!(!loaded.config.routes.is_empty() || file.get("routes").is_some() || file.get("policy").is_some()),
            Err(error) => {
                prop_assert!(!error.problems.is_empty());
                for problem in error.problems.iter().chain(&error.warnings) {
                    let shown = problem.to_string();
                    prop_assert!(!shown.contains('\n') && !shown.ends_with('.'), "{}", shown);
                }
            }
        }
    }

    #[test]
    fn any_route_is_read_without_a_panic(route in object(ROUTE)) {
        let _ = read(&merged(route));
    }
}
