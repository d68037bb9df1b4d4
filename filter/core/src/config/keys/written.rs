//! The keys of one file.

use serde_json::{Map, Value};

use super::global::GLOBAL;
use crate::config::key::{Key, Kind, Support};
use crate::diagnostics::KeyPath;

/// One key in a file.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// The path, such as `routes[0].tls_skip_verify`.
    pub path: &'a str,
    /// The key as it is written there.
    pub name: &'a str,
    /// The value.
    pub value: &'a Value,
    /// The description of the key; `None` for an unknown key.
    pub key: Option<&'static Key>,
}

/// Why a refused key with this value is not refused.
const SWITCHED_OFF: &str = "it switches off what Jetway does not have";

impl Written<'_> {
    /// Returns how Jetway supports the key with this value; `None` for an unknown key.
    #[must_use]
    pub fn support(&self) -> Option<Support> {
        let key = self.key?;
        Some(match key.support {
            Support::Refused(_) if is_off(self.value) => Support::Ignored(SWITCHED_OFF),
            Support::Ignored(why) if key.is_contradicted_by(self.value) => Support::Refused(why),
            support => support,
        })
    }
}

/// Returns whether a value switches off something that Jetway does not have.
pub(in crate::config) fn is_off(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => !flag,
        Value::String(string) => string.eq_ignore_ascii_case("false"),
        _ => false,
    }
}

/// Calls `see` for each key of a file, in the order in which JSON keeps the keys. Keys below an unknown, ignored or refused
/// key are skipped.
pub fn visit(file: &Value, see: &mut dyn FnMut(Written<'_>)) {
    if let Value::Object(map) = file {
        visit_object(map, &KeyPath::root(), GLOBAL, see);
    }
}

fn visit_object(
    map: &Map<String, Value>,
    key_path: &KeyPath,
    table: &'static [Key],
    see: &mut dyn FnMut(Written<'_>),
) {
    for (name, value) in map {
        let key_path = key_path.key(name);
        let key = Key::find(table, &name.to_ascii_lowercase());
        see(Written {
            path: key_path.as_str(),
            name,
            value,
            key,
        });
        match (key.map(|key| key.kind), value) {
            (Some(Kind::Map(table)), Value::Object(map)) => {
                visit_object(map, &key_path, table, see);
            }
            (Some(Kind::MapList(table)), Value::Array(list)) => {
                for (index, item) in list.iter().enumerate() {
                    if let Value::Object(map) = item {
                        visit_object(map, &key_path.item(index), table, see);
                    }
                }
            }
            _ => {}
        }
    }
}
