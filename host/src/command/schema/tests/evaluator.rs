//! JSON Schema (draft 2020-12), as much of it as the schema uses: any other keyword fails the test.

use regex_lite::Regex;
use serde_json::{Map, Value};

/// A schema at work.
pub(super) struct Evaluator<'s> {
    root: &'s Value,
}

impl<'s> Evaluator<'s> {
    pub(super) fn of(root: &'s Value) -> Self {
        Self { root }
    }

    /// Returns the objections of the subschema at a JSON pointer to an instance.
    pub(super) fn faults(&self, pointer: &str, instance: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        let schema = self.root.pointer(pointer).expect(pointer);
        self.judge(schema, instance, "", &mut faults);
        faults
    }

    fn judge(&self, schema: &Value, instance: &Value, at: &str, faults: &mut Vec<String>) {
        if let Value::Bool(holds) = schema {
            if !holds {
                faults.push(format!("{at}: additionalProperties"));
            }
            return;
        }
        let schema = schema.as_object().expect("a schema is an object");
        for (keyword, argument) in schema {
            let holds = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "deprecated" => true,
                "$ref" => {
                    let pointer = argument.as_str().unwrap().strip_prefix('#').unwrap();
                    let target = self.root.pointer(pointer).expect(pointer);
                    self.judge(target, instance, at, faults);
                    true
                }
                "not" => {
                    let mut inner = Vec::new();
                    self.judge(argument, instance, at, &mut inner);
                    !inner.is_empty()
                }
                "type" => types(argument).iter().any(|name| is(instance, name)),
                "enum" => argument.as_array().unwrap().contains(instance),
                "minimum" => bound(instance, argument, |value, limit| value >= limit),
                "maximum" => bound(instance, argument, |value, limit| value <= limit),
                "pattern" => instance
                    .as_str()
                    .is_none_or(|text| regex(argument.as_str().unwrap()).is_match(text)),
                "items" => {
                    for (index, item) in instance.as_array().into_iter().flatten().enumerate() {
                        self.judge(argument, item, &format!("{at}[{index}]"), faults);
                    }
                    true
                }
                "required" => instance.as_object().is_none_or(|object| {
                    let names = argument.as_array().unwrap();
                    let missing = names
                        .iter()
                        .filter(|name| !object.contains_key(name.as_str().unwrap()));
                    faults.extend(missing.map(|name| format!("{at}: required {name}")));
                    true
                }),
                "minProperties" => {
                    count(instance).is_none_or(|count| count >= argument.as_u64().unwrap())
                }
                "maxProperties" => {
                    count(instance).is_none_or(|count| count <= argument.as_u64().unwrap())
                }
                "properties" => {
                    self.judge_members(schema, instance, at, faults);
                    true
                }
                "patternProperties" | "additionalProperties" => {
                    if !schema.contains_key("properties") {
                        self.judge_members(schema, instance, at, faults);
                    }
                    true
                }
                other => panic!("the keyword `{other}` is not known"),
            };
            if !holds {
                faults.push(format!("{at}: {keyword}"));
            }
        }
    }

    fn judge_members(
        &self,
        schema: &Map<String, Value>,
        instance: &Value,
        at: &str,
        faults: &mut Vec<String>,
    ) {
        let none = Map::new();
        let part = |name: &str| schema.get(name).and_then(Value::as_object).unwrap_or(&none);
        for (name, member) in instance.as_object().into_iter().flatten() {
            let at = format!("{at}.{name}");
            let named = part("properties").get(name);
            let fitting = part("patternProperties")
                .iter()
                .filter(|(pattern, _)| regex(pattern).is_match(name))
                .map(|(_, schema)| schema);
            let mut meant: Vec<&Value> = named.into_iter().chain(fitting).collect();
            if meant.is_empty() {
                meant.extend(schema.get("additionalProperties"));
            }
            for schema in meant {
                self.judge(schema, member, &at, faults);
            }
        }
    }
}

fn types(argument: &Value) -> Vec<&str> {
    match argument {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        name => name.as_str().into_iter().collect(),
    }
}

fn is(instance: &Value, name: &str) -> bool {
    match name {
        "object" => instance.is_object(),
        "array" => instance.is_array(),
        "string" => instance.is_string(),
        "number" => instance.is_number(),
        "integer" => instance.is_i64() || instance.is_u64(),
        "boolean" => instance.is_boolean(),
        other => panic!("the type `{other}` is not known"),
    }
}

fn bound(instance: &Value, limit: &Value, holds: fn(f64, f64) -> bool) -> bool {
    instance
        .as_f64()
        .is_none_or(|value| holds(value, limit.as_f64().unwrap()))
}

fn count(instance: &Value) -> Option<u64> {
    instance.as_object().map(|object| object.len() as u64)
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect(pattern)
}
