//! Schemas of maps, from the tables of their keys.

use jetway_core::config::key::{Key, Kind, Support};
use jetway_core::config::keys::ROUTE;
use serde_json::{Map, Value, json};

/// Durations in Go's syntax, without a sign (`time.ParseDuration`).
const DURATION: &str = r"^(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$";

/// The types that a map of strings may have as values: each of them counts as a string.
const STRING_LIKE: [&str; 3] = ["string", "number", "boolean"];

/// Returns the schema of a map with these keys and no others.
pub(super) fn map_schema(table: &'static [Key]) -> Value {
    let (mut named, mut prefixed) = (Map::new(), Map::new());
    for key in table {
        match key.name.strip_suffix('*') {
            None => named.insert(key.name.to_owned(), key_schema(key)),
            Some(prefix) => prefixed.insert(format!("^{prefix}"), key_schema(key)),
        };
    }
    let mut object = json!({"type": "object", "properties": named, "additionalProperties": false});
    if let (Value::Object(object), false) = (&mut object, prefixed.is_empty()) {
        object.insert("patternProperties".to_owned(), Value::Object(prefixed));
    }
    object
}

fn key_schema(key: &Key) -> Value {
    let (about, deprecated) = match key.support {
        Support::Supported(_) => (key.about.to_owned(), false),
        Support::Translated(_, to) => (format!("{}; means {to}", key.about), false),
        Support::Ignored(why) => (format!("Has no effect: {why}"), true),
        Support::Refused(why) => (format!("Refused: {why}"), true),
    };
    let mut schema = kind_schema(key.kind);
    schema["description"] = json!(about);
    if deprecated {
        schema["deprecated"] = json!(true);
    }
    schema
}

fn kind_schema(kind: Kind) -> Value {
    match kind {
        // An unquoted number counts as its digits.
        Kind::String => json!({"type": ["string", "number"]}),
        Kind::Secret | Kind::File | Kind::Pem => json!({"type": "string"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Integer => json!({"type": "integer", "minimum": 0}),
        // Zero needs no unit.
        Kind::Duration => {
            json!({"type": ["string", "integer"], "pattern": DURATION, "minimum": 0, "maximum": 0})
        }
        Kind::Word(words) => word_schema(words),
        Kind::StringList | Kind::Upstreams => {
            json!({"type": ["string", "array"], "items": {"type": "string"}})
        }
        Kind::StringMap => json!({"type": "object", "additionalProperties": {"type": STRING_LIKE}}),
        Kind::StringMapOrList => json!({
            "type": ["object", "array", "string"],
            "additionalProperties": {"type": STRING_LIKE},
            "items": {"type": "string"},
        }),
        Kind::Map(table) => map_schema(table),
        Kind::MapList(table) => json!({"type": "array", "items": item_schema(table)}),
        Kind::Policy => json!({"$ref": "#/$defs/policy"}),
        // Keys that are not supported, and kinds that this schema does not know.
        _ => json!({}),
    }
}

fn word_schema(words: &[&str]) -> Value {
    let mut allowed: Vec<Value> = words.iter().map(|word| json!(word)).collect();
    // YAML 1.1, which many editors use, reads `off` as false.
    if words.contains(&"off") {
        allowed.push(Value::Bool(false));
    }
    json!({"enum": allowed})
}

/// Returns the schema of the items of a list. Two keys list routes, whose schema is written once.
fn item_schema(table: &'static [Key]) -> Value {
    // A constant has no unique address: tables with the same names are the same table.
    let names = |table: &'static [Key]| table.iter().map(|key| key.name);
    if names(table).eq(names(ROUTE)) {
        json!({"$ref": "#/$defs/route"})
    } else {
        map_schema(table)
    }
}
