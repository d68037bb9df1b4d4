//! Checks the schema with the repository's files and policies, by an evaluator of exactly the keywords that it uses.

mod evaluator;

use std::path::Path;

use jetway_core::policy::language::{CRITERIA, UNSUPPORTED};
use serde_json::{Value, json};

use super::build_schema;
use evaluator::Evaluator;
use jetway_config_file::YamlFile;

const VECTORS: &str = include_str!("../../../../filter/core/src/policy/tests/ppl.json");
const DOCUMENTS: [&str; 2] = [
    include_str!("../../../../README.md"),
    include_str!("../../../../docs/guide.md"),
];
const POMERIUM: &str = include_str!("../../../../tests/files/pomerium.yaml");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../envoy-config/examples");

fn yaml(text: &str) -> Value {
    let parsed = YamlFile::parse("text".to_owned(), text.to_owned(), false).unwrap();
    parsed.content().clone()
}

/// Returns what the schema rejects in a file.
fn faults(file: &Value) -> Vec<String> {
    Evaluator::of(&build_schema()).faults("", file)
}

fn policy_faults(policy: &Value) -> Vec<String> {
    Evaluator::of(&build_schema()).faults("/$defs/policy", policy)
}

fn criterion_faults(criterion: Value) -> Vec<String> {
    policy_faults(&json!({"allow": {"or": [criterion]}}))
}

/// Returns the configuration files within the documents.
fn documented_files() -> Vec<Value> {
    let blocks = DOCUMENTS
        .iter()
        .flat_map(|document| document.split("```yaml\n").skip(1));
    let texts = blocks.filter_map(|block| block.split("```").next());
    texts
        .map(yaml)
        .filter(|file| file.get("routes").is_some())
        .collect()
}

/// Returns the example configuration files, without the files that are generated from them.
fn examples() -> Vec<Value> {
    let files = std::fs::read_dir(EXAMPLES).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths
        .filter(|path| name(path).ends_with(".yaml") && !name(path).ends_with(".envoy.yaml"))
        .map(|path| yaml(&std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// Returns the file with its top-level keys in lower case.
fn lower(file: &Value) -> Value {
    let keys = file.as_object().unwrap().iter();
    keys.map(|(key, value)| (key.to_ascii_lowercase(), value.clone()))
        .collect()
}

#[test]
fn the_examples_are_accepted() {
    let (mut files, examples) = (documented_files(), examples());
    assert!(!files.is_empty() && !examples.is_empty());
    files.extend(examples);
    files.push(lower(&yaml(POMERIUM)));
    for file in files {
        assert_eq!(faults(&file), [""; 0]);
    }
}

#[test]
fn the_vectors_policies_are_accepted() {
    let cases: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    let evaluator_schema = build_schema();
    let evaluator = Evaluator::of(&evaluator_schema);
    let mut seen = 0;
    for case in cases.iter().filter(|case| case["expect"] != "invalid") {
        let faults = match (&case["policy"], case.get("route")) {
            (Value::String(text), _) => evaluator.faults("/$defs/policy", &yaml(text)),
            (Value::Null, Some(route)) => evaluator.faults("/$defs/route", route),
            (policy, _) => evaluator.faults("/$defs/policy", policy),
        };
        assert_eq!(faults, [""; 0], "{}", case["id"]);
        seen += 1;
    }
    assert!(seen > 100, "the file has shrunk");
}

#[test]
fn mistakes_in_a_policy_are_found() {
    let email = json!({"email": "a@b.test"});
    for (policy, part) in [
        (json!({"allow": {"xor": [email]}}), "xor"),
        (json!({"alow": {"or": [email]}}), "alow"),
        (json!([{"allow": {"or": email}}]), "type"),
        (
            json!({"allow": {"or": [{"email": "a", "domain": "b"}]}}),
            "maxProperties",
        ),
        (json!({"allow": {"or": [{}]}}), "minProperties"),
        (json!({"allow": {"or": [{"emial": "a"}]}}), "emial"),
        (json!({"allow": {"or": [{"email": {"has": "a"}}]}}), "has"),
        (json!({"allow": {"or": [{"email": {"in": "a"}}]}}), "type"),
        (json!({"allow": {"or": [{"groups": {"in": ["a"]}}]}}), "in"),
        (json!({"allow": {"or": [{"claim/a": {"not": "a"}}]}}), "not"),
        (json!({"allow": {"or": [{"device": {"is": "a"}}]}}), "not"),
        (
            json!({"allow": {"or": [{"time_of_day": {"after": "8:00"}}]}}),
            "timezone",
        ),
        (
            json!({"allow": {"or": [{"client_certificate": "a"}]}}),
            "type",
        ),
        (json!("allow"), "type"),
    ] {
        let faults = policy_faults(&policy);
        assert!(
            faults.iter().any(|fault| fault.contains(part)),
            "{policy}: {faults:?}"
        );
    }
}

#[test]
fn every_criterion_is_described() {
    let schema = build_schema();
    let described = &schema["$defs"]["criterion"]["properties"];
    let about = |name: &str| described[name]["description"].as_str().unwrap_or_default();
    for entry in CRITERIA {
        let name = entry.doc.name;
        assert!(!about(name).is_empty(), "{name}");
    }
    for (name, why) in UNSUPPORTED {
        assert!(about(name).ends_with(why), "{name}");
    }
}

#[test]
fn what_follows_a_slash_matters_for_claims_alone() {
    assert_eq!(
        criterion_faults(json!({"claim/https://a.test/b": ["x"]})),
        [""; 0]
    );
    assert_eq!(criterion_faults(json!({"email/x": "a@b.test"})), [""; 0]);
    assert!(!criterion_faults(json!({"emial/x": "a@b.test"})).is_empty());
}

#[test]
fn mistakes_in_keys_and_values_are_found() {
    let route = json!({"from": "https://a.test", "to": "http://b"});
    for (key, value, fault) in [
        ("timeout", json!("1h30m"), None),
        ("timeout", json!(0), None),
        ("timeout", json!("30"), Some("pattern")),
        ("timeout", json!(30), Some("maximum")),
        ("allow_websockets", json!("yes"), Some("type")),
        ("to", json!(["http://b,1", "http://c,2"]), None),
        ("policy", json!({"allow": {}}), None),
        ("policy", json!({"allow": []}), Some("type")),
        (
            "set_request_headers",
            json!({"X-A": "b", "X-B": 1, "X-C": true}),
            None,
        ),
        ("redirect", json!({"host_redirect": "c.test"}), None),
        (
            "redirect",
            json!({"host": "c.test"}),
            Some("additionalProperties"),
        ),
        ("alow_websockets", json!(true), Some("additionalProperties")),
    ] {
        let mut route = route.clone();
        route[key] = value;
        let faults = faults(&json!({"routes": [route]}));
        match fault {
            None => assert_eq!(faults, [""; 0], "{route}"),
            Some(part) => assert!(
                faults.iter().any(|fault| fault.contains(part)),
                "{route}: {faults:?}"
            ),
        }
    }
}

#[test]
fn every_key_is_described_and_those_without_effect_are_deprecated() {
    let schema = build_schema();
    let properties = schema["properties"].as_object().unwrap();
    for (name, key) in properties {
        let about = key["description"].as_str().unwrap_or_default();
        assert!(about.len() > 10, "{name}");
        let deprecated = about.starts_with("Has no effect: ") || about.starts_with("Refused: ");
        assert_eq!(key.get("deprecated").is_some(), deprecated, "{name}");
    }
    assert!(properties.contains_key("authenticate_service_url"));
}
