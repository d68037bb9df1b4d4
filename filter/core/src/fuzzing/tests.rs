//! Runs every target, and two of them with changed JSON documents.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::config::Config;
use crate::fuzzing::configuration::{self, config_value};

const CONFIGS: [&str; 1] = [include_str!("../../../fuzz/seeds/config/whole.json")];
const POLICIES: [&str; 3] = [
    include_str!("../../../fuzz/seeds/policy/allow-deny.json"),
    include_str!("../../../fuzz/seeds/policy/certificate.json"),
    include_str!("../../../fuzz/seeds/policy/time.json"),
];

/// Declares one test for each target, so that the targets share a given time fairly, and the list of their names.
macro_rules! targets {
    ($($name:ident),+ $(,)?) => {
        const TESTED: &[&str] = &[$(stringify!($name)),+];

        mod target {
            $(
                #[test]
                fn $name() {
                    let name = stringify!($name);
                    jetway_fuzz_driver::run(name, |bytes| crate::fuzzing::run(name, bytes));
                }
            )+
        }
    };
}

targets!(
    config,
    config_words,
    policy,
    policy_words,
    template,
    json,
    discovery,
    jwks,
    provider_answer,
    token,
    sealed,
    session,
    cookie,
    certificate_header,
    certificate,
    path,
    authority,
    request,
);

#[test]
fn every_target_is_tested() {
    let names: Vec<&str> = crate::fuzzing::TARGETS
        .iter()
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(names, TESTED);
}

#[test]
fn the_seeds_are_accepted() {
    for seed in CONFIGS {
        let value = serde_json::from_str(seed).unwrap();
        Config::read(&value, &|_| None).unwrap();
        configuration::config(seed.as_bytes());
    }
    for seed in POLICIES {
        let policy: Value = serde_json::from_str(seed).unwrap();
        Config::read(&with_policy(policy), &|_| None).unwrap();
        configuration::policy(seed.as_bytes());
    }
}

/// Parses a seed; another test checks that each is JSON.
fn parsed(seed: &str) -> Value {
    serde_json::from_str(seed).unwrap_or_default()
}

fn with_policy(policy: Value) -> Value {
    let mut file = parsed(CONFIGS[0]);
    file["routes"] = json!([{"from": "https://a.example.com", "to": "http://b", "policy": policy}]);
    file
}

/// Generates a policy or a configuration in which one value is replaced by another.
fn exchanged(seeds: &'static [&'static str]) -> impl Strategy<Value = Value> {
    (prop::sample::select(seeds), any::<Index>(), value()).prop_map(|(seed, at, value)| {
        let mut file = parsed(seed);
        let mut left = at.index(count(&file));
        exchange(&mut file, &mut left, &value);
        file
    })
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// Replaces the value with this number in document order. Returns whether it was found.
fn exchange(value: &mut Value, left: &mut usize, other: &Value) -> bool {
    if *left == 0 {
        *value = other.clone();
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(list) => list.iter_mut().any(|value| exchange(value, left, other)),
        Value::Object(map) => map.values_mut().any(|value| exchange(value, left, other)),
        _ => false,
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "(https?://)?[a-z*.:/0-9$(){}\\[\\]?+^-]{0,30}".prop_map(Value::from),
        prop::sample::select(&["", "*", "1h", "-1s", "https://a", "/", "..", "${", "::1/0"][..])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_/*]{0,12}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn configurations_with_an_exchanged_value_are_read_without_a_panic(file in exchanged(&CONFIGS)) {
        config_value(&file);
    }

    #[test]
    fn policies_with_an_exchanged_value_are_read_without_a_panic(policy in exchanged(&POLICIES)) {
        configuration::policy(policy.to_string().as_bytes());
    }

    #[test]
    fn any_policy_is_read_without_a_panic(policy in value()) {
        configuration::policy(policy.to_string().as_bytes());
    }
}
