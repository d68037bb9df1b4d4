//! The JSON Schema of the policy language, from the tables that its reader uses.

use serde_json::{Map, Value, json};

use crate::policy::criteria::{CRITERIA, UNSUPPORTED};
use crate::policy::list_matcher::ListMatcher;
use crate::policy::operator::Operator;
use crate::policy::read::ACTIONS;
use crate::policy::string_matcher::StringMatcher;

/// Returns the definitions that a schema of the configuration needs below `$defs`: `policy` is a whole policy.
#[must_use]
pub fn definitions() -> Map<String, Value> {
    let action = |name: &&str| ((*name).to_owned(), reference("action"));
    let rule: Map<String, Value> = ACTIONS.iter().map(action).collect();
    let all = [
        (
            "policy",
            json!({
                "description": "Who may use the route: a rule, or a list of rules. One `allow` must hold and no `deny`.",
                "type": ["object", "array"],
                "properties": rule,
                "additionalProperties": false,
                "items": reference("rule"),
            }),
        ),
        (
            "rule",
            json!({"type": "object", "properties": rule, "additionalProperties": false}),
        ),
        ("action", action_schema()),
        ("criterion", criterion_schema()),
        ("string_matcher", StringMatcher::schema()),
        ("list_matcher", ListMatcher::schema()),
        (
            "strings",
            json!({"type": ["string", "array"], "items": {"type": "string"}}),
        ),
    ];
    all.into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

/// Returns a reference to one of the [`definitions`].
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// Returns the schema of an action: operators, each with a list of criteria.
fn action_schema() -> Value {
    let mut properties = Map::new();
    for operator in Operator::ALL {
        let list = json!({
            "type": "array",
            "items": reference("criterion"),
            "description": operator.about(),
        });
        properties.insert(operator.name().to_owned(), list);
    }
    properties.insert(
        "action".to_owned(),
        json!({"description": "Has no effect", "deprecated": true}),
    );
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// Returns the schema of a criterion: an object with one key.
fn criterion_schema() -> Value {
    let mut properties = Map::new();
    for entry in CRITERIA {
        let mut schema = (entry.schema)();
        // A kind may describe its name in a schema for itself.
        if schema.get("description").is_none() {
            schema["description"] = json!(entry.doc.about);
        }
        properties.insert(entry.doc.name.to_owned(), schema);
    }
    for (name, why) in UNSUPPORTED {
        let schema =
            json!({"not": {}, "deprecated": true, "description": format!("Refused: {why}")});
        properties.insert((*name).to_owned(), schema);
    }
    let names = CRITERIA.iter().map(|entry| entry.doc.name);
    let others: Vec<&str> = names.filter(|name| *name != "claim").collect();
    json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": properties,
        "patternProperties": {
            "^claim/": {"$ref": "#/$defs/list_matcher", "description": "The values of one of the user's claims"},
            // Only for claims does the part after the slash have a meaning.
            (format!("^({})/", others.join("|"))): {},
        },
        "additionalProperties": false,
    })
}
