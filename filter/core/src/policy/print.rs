//! Writes a policy in its own language.

use serde_json::{Value, json};

use crate::policy::criteria::Criterion;
use crate::policy::{Policy, Term};

impl Policy {
    /// Returns the policy in its own language, one rule for each operator. Reading it again gives an equal policy.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let rules = |action: &'static str, terms: &[Term]| {
            let rule = |term: &Term| {
                let criteria: Vec<Value> = term.criteria.iter().map(Criterion::to_value).collect();
                json!({action: {term.operator.name(): criteria}})
            };
            terms.iter().map(rule).collect::<Vec<_>>()
        };
        let mut all = rules("allow", &self.allow);
        all.extend(rules("deny", &self.deny));
        Value::Array(all)
    }
}

impl Criterion {
    /// Returns the criterion in the policy language: a map with one key.
    fn to_value(&self) -> Value {
        let (key, argument) = self.to_entry();
        json!({key: argument})
    }

    /// Returns the criterion on one line, as YAML: `email: {is: alice@example.com}`.
    pub(super) fn to_line(&self) -> String {
        let (key, argument) = self.to_entry();
        let mut line = format!("{}: ", flow_string(&key));
        write_flow(&argument, &mut line);
        line
    }
}

/// Writes a value in YAML's flow style, on one line.
fn write_flow(value: &Value, line: &mut String) {
    match value {
        Value::Array(items) => {
            line.push('[');
            for (index, item) in items.iter().enumerate() {
                line.push_str(if index > 0 { ", " } else { "" });
                write_flow(item, line);
            }
            line.push(']');
        }
        Value::Object(members) => {
            line.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                line.push_str(if index > 0 { ", " } else { "" });
                line.push_str(&flow_string(name));
                line.push_str(": ");
                write_flow(member, line);
            }
            line.push('}');
        }
        Value::String(string) => line.push_str(&flow_string(string)),
        other => line.push_str(&other.to_string()),
    }
}

/// Returns a string without quotes where YAML reads it as a string, else in double quotes by JSON's rules, which YAML
/// shares.
fn flow_string(string: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./@+*=".contains(&byte);
    let begins_well = string
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'/');
    let is_word = matches!(
        string.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if begins_well && !is_word && string.bytes().all(is_plain) {
        string.to_owned()
    } else {
        Value::String(string.to_owned()).to_string()
    }
}
