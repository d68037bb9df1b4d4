//! Builds the schemas of the policy language from the words that its reader knows.

use jetway_core::policy::words::{
    ACTIONS, CERTIFICATE_CONDITIONS, CRITERIA, IMPOSSIBLE, LIST_CONDITIONS, OPERATORS,
    TEXT_CONDITIONS,
};
use serde_json::{Map, Value, json};

/// Returns all schemas of the policy language by name; `policy` is the whole.
pub(super) fn definitions() -> Map<String, Value> {
    let rule = |name: &str| (name.to_owned(), reference("body"));
    let rules = Value::Object(ACTIONS.into_iter().map(rule).collect());
    let all = [
        (
            "policy",
            json!({
                "description": "The users who have access: a rule, or a list of rules. One `allow` must hold and no `deny`.",
                "type": ["object", "array"],
                "properties": rules,
                "additionalProperties": false,
                "items": reference("rule"),
            }),
        ),
        (
            "rule",
            json!({"type": "object", "properties": rules, "additionalProperties": false}),
        ),
        ("body", body()),
        ("criterion", criterion()),
        (
            "text_matcher",
            matcher(
                "A string that must be equal, or conditions that must all hold.",
                &TEXT_CONDITIONS,
            ),
        ),
        (
            "list_matcher",
            matcher(
                "A value that must be in the list, or conditions that must all hold.",
                &LIST_CONDITIONS,
            ),
        ),
        (
            "texts",
            json!({"type": ["string", "array"], "items": {"type": "string"}}),
        ),
        ("window", window(&[])),
        ("zoned_window", window(&["timezone"])),
        ("certificate_matcher", certificate()),
    ];
    all.into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// Builds the schema of operators with their criteria, which are alternatives.
fn body() -> Value {
    let mut properties = Map::new();
    for name in OPERATORS {
        let about = match name {
            "and" => "All of these hold",
            "or" => "At least one of these holds",
            "not" => "None of these holds",
            "nor" => "At least one of these does not hold",
            _ => "",
        };
        let list = json!({"type": "array", "items": reference("criterion"), "description": about});
        properties.insert(name.to_owned(), list);
    }
    properties.insert(
        "action".to_owned(),
        json!({"description": "Has no effect", "deprecated": true}),
    );
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// Builds the schema of a criterion: a map with one key.
fn criterion() -> Value {
    let mut properties = Map::new();
    for name in CRITERIA {
        let (about, mut schema) = question(name);
        if let Value::Object(schema) = &mut schema {
            schema.insert("description".to_owned(), json!(about));
        }
        properties.insert(name.to_owned(), schema);
    }
    for (name, why) in IMPOSSIBLE {
        let schema =
            json!({"not": {}, "deprecated": true, "description": format!("Refused: {why}")});
        properties.insert(name.to_owned(), schema);
    }
    let others: Vec<&str> = CRITERIA
        .into_iter()
        .filter(|name| *name != "claim")
        .collect();
    json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": properties,
        "patternProperties": {
            "^claim/": {"$ref": "#/$defs/list_matcher", "description": "The values of a claim of the user"},
            // The part after the slash has a meaning only for claims.
            (format!("^({})/", others.join("|"))): {},
        },
        "additionalProperties": false,
    })
}

/// Returns the description and the schema of a criterion.
fn question(name: &str) -> (&'static str, Value) {
    match name {
        "accept" => ("Always holds; the value has no meaning", json!({})),
        "reject" => ("Never holds", json!({})),
        "authenticated_user" => ("The user is signed in", json!({})),
        "cors_preflight" => ("The request is a CORS preflight", json!({})),
        "invalid_client_certificate" => (
            "A client certificate is requested, and there is no valid one",
            json!({}),
        ),
        "pomerium_routes" => ("Never holds in Jetway", json!({"deprecated": true})),
        "email" => (
            "The user's verified email address",
            reference("text_matcher"),
        ),
        "domain" => (
            "The domain of the user's email address",
            reference("text_matcher"),
        ),
        "user" => (
            "The provider's identifier of the user (`sub`)",
            reference("text_matcher"),
        ),
        "http_method" => ("The method, such as `GET`", reference("text_matcher")),
        "http_path" => (
            "The decoded path without its query",
            reference("text_matcher"),
        ),
        "claim" => (
            "Never holds without the name of a claim: write `claim/NAME`",
            json!({"$ref": "#/$defs/list_matcher", "deprecated": true}),
        ),
        "groups" => ("The user's groups", reference("list_matcher")),
        "source_ip" => (
            "The client's address is one of these, or in one of these networks",
            reference("texts"),
        ),
        "client_certificate" => (
            "The client's valid certificate matches",
            reference("certificate_matcher"),
        ),
        "date" => (
            "The current date is within these dates",
            reference("window"),
        ),
        "day_of_week" => (
            "The current day, in UTC, is one of these days: `*`, `mon,wed` or `mon-fri`",
            json!({"type": "string"}),
        ),
        "time_of_day" => (
            "The current time is within this part of the day",
            reference("zoned_window"),
        ),
        _ => ("", json!({})),
    }
}

/// Builds the schema of conditions; a value that is not a map stands for the first of them.
fn matcher(about: &str, conditions: &[&str]) -> Value {
    let mut properties = Map::new();
    for &name in conditions {
        let schema = match name {
            "in" | "not_in" => json!({"type": "array", "items": {"type": "string"}}),
            "starts_with" | "ends_with" | "contains" => json!({"type": "string"}),
            _ => json!({}),
        };
        properties.insert(name.to_owned(), schema);
    }
    json!({"description": about, "properties": properties, "additionalProperties": false})
}

/// Builds the schema of a span of time.
fn window(required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": {
            "after": {"type": "string", "description": "The beginning, inclusive"},
            "before": {"type": "string", "description": "The end, exclusive"},
            "timezone": {"type": "string", "description": "A name of the IANA database, such as `Europe/Berlin`"},
        },
        "required": required,
        "additionalProperties": false,
    })
}

fn certificate() -> Value {
    let mut properties = Map::new();
    for name in CERTIFICATE_CONDITIONS {
        let schema = match name {
            "fingerprint" | "spki_hash" => reference("texts"),
            _ => reference("text_matcher"),
        };
        properties.insert(name.to_owned(), schema);
    }
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}
