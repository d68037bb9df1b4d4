//! Builds schemas of maps from the tables of their keys.

use jetway_core::config::key::{Key, Kind, Support};
use jetway_core::config::keys::ROUTE;
use serde_json::{Map, Value, json};

/// Go's durations, without signs (`time.ParseDuration`).
const DURATION: &str = r"^(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$";

/// The types of a map's values: all of them count as strings.
const TEXT_LIKE: [&str; 3] = ["string", "number", "boolean"];

/// Builds the schema of a map with these keys and no others.
pub(super) fn object(table: &'static [Key]) -> Value {
    let (mut named, mut begun) = (Map::new(), Map::new());
    for key in table {
        match key.name.strip_suffix('*') {
            None => named.insert(key.name.to_owned(), property(key)),
            Some(beginning) => begun.insert(format!("^{beginning}"), property(key)),
        };
    }
    let mut object = json!({"type": "object", "properties": named, "additionalProperties": false});
    if let (Value::Object(object), false) = (&mut object, begun.is_empty()) {
        object.insert("patternProperties".to_owned(), Value::Object(begun));
    }
    object
}

fn property(key: &Key) -> Value {
    let (about, deprecated) = match key.treatment {
        Support::Supported(_) => (key.about.to_owned(), false),
        Support::Translated(_, to) => (format!("{}; means {to}", key.about), false),
        Support::Ignored(why) => (format!("Has no effect: {why}"), true),
        Support::Refused(why) => (format!("Refused: {why}"), true),
    };
    let mut property = kind(key.kind);
    if let Value::Object(property) = &mut property {
        property.insert("description".to_owned(), Value::String(about));
        if deprecated {
            property.insert("deprecated".to_owned(), Value::Bool(true));
        }
    }
    property
}

fn kind(kind: Kind) -> Value {
    match kind {
        // A value that looks like a number in YAML is read as a string.
        Kind::Text => json!({"type": ["string", "number"]}),
        Kind::Secret | Kind::File | Kind::Pem => json!({"type": "string"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Number => json!({"type": "integer", "minimum": 0}),
        // Zero needs no unit.
        Kind::Duration => {
            json!({"type": ["string", "integer"], "pattern": DURATION, "minimum": 0, "maximum": 0})
        }
        Kind::Word(words) => word(words),
        Kind::Texts | Kind::Upstreams => {
            json!({"type": ["string", "array"], "items": {"type": "string"}})
        }
        Kind::TextMap => json!({"type": "object", "additionalProperties": {"type": TEXT_LIKE}}),
        Kind::TextMapOrTexts => json!({
            "type": ["object", "array", "string"],
            "additionalProperties": {"type": TEXT_LIKE},
            "items": {"type": "string"},
        }),
        Kind::Object(table) => object(table),
        Kind::Objects(table) => json!({"type": "array", "items": item(table)}),
        Kind::Policy => json!({"$ref": "#/$defs/policy"}),
        // Keys that are not supported, and kinds that this schema does not know.
        _ => json!({}),
    }
}

fn word(words: &[&str]) -> Value {
    let mut allowed: Vec<Value> = words.iter().map(|word| json!(word)).collect();
    // Readers of YAML 1.1, which many editors use, read `off` as false.
    if words.contains(&"off") {
        allowed.push(Value::Bool(false));
    }
    json!({"enum": allowed})
}

/// Builds the schema of a list's items; routes are in two lists, and are described once.
fn item(table: &'static [Key]) -> Value {
    // Constants have no address: equal names identify a table.
    let names = |table: &'static [Key]| table.iter().map(|key| key.name);
    if names(table).eq(names(ROUTE)) {
        json!({"$ref": "#/$defs/route"})
    } else {
        object(table)
    }
}
