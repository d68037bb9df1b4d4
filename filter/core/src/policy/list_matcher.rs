//! Conditions on a list of claim values.

use serde_json::{Map, Value, json};

use crate::diagnostics::{Findings, KeyPath};
use crate::policy::language::ConditionDoc;
use crate::policy::read::{each_once, report_unknown_condition};

/// Conditions on a list, all of which must be met. A matcher without conditions matches every list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ListMatcher {
    conditions: Vec<ListCondition>,
}

#[derive(Clone, Debug, PartialEq)]
enum ListCondition {
    /// Some element equals this value.
    Has(Value),
    /// The list has exactly one element, and it equals this value.
    Is(Value),
    /// No element equals this value.
    Exclude(Value),
}

/// The conditions of a list matcher.
pub(super) const CONDITIONS: &[ConditionDoc] = &[
    ConditionDoc {
        name: "has",
        about: "The list contains the value",
        example: "has: admins",
    },
    ConditionDoc {
        name: "is",
        about: "The list has exactly one element, which equals the value",
        example: "is: admins",
    },
    ConditionDoc {
        name: "exclude",
        about: "The list does not contain the value",
        example: "exclude: contractors",
    },
];

impl ListMatcher {
    /// Returns a matcher for lists that contain this value.
    pub(super) fn has(value: Value) -> Self {
        Self {
            conditions: vec![ListCondition::Has(value)],
        }
    }

    /// Reads a map of conditions, or a bare value, which means `has`.
    pub(super) fn read(value: &Value, path: &KeyPath, findings: &mut Findings) -> Option<Self> {
        let Value::Object(map) = value else {
            if value.is_array() {
                findings
                    .warning(
                        path,
                        "a list is compared as a whole with each value, so this probably never matches",
                    )
                    .help("write one criterion for each value");
            }
            return Some(Self::has(value.clone()));
        };
        let mut conditions = Vec::new();
        for (name, constant) in each_once(map, path, findings) {
            let condition = match name.to_ascii_lowercase().as_str() {
                "has" => ListCondition::Has,
                "is" => ListCondition::Is,
                "exclude" => ListCondition::Exclude,
                _ => {
                    report_unknown_condition(name, &path.key(name), CONDITIONS, findings);
                    return None;
                }
            };
            conditions.push(condition(constant.clone()));
        }
        Some(Self { conditions })
    }

    /// Returns the matcher in the policy language.
    pub(super) fn to_value(&self) -> Value {
        let conditions = self.conditions.iter().map(|condition| {
            let (name, constant) = match condition {
                ListCondition::Has(constant) => ("has", constant),
                ListCondition::Is(constant) => ("is", constant),
                ListCondition::Exclude(constant) => ("exclude", constant),
            };
            (name.to_owned(), constant.clone())
        });
        Value::Object(conditions.collect())
    }

    /// Returns the JSON Schema of a list matcher.
    pub(super) fn schema() -> Value {
        let properties = CONDITIONS.iter().map(|condition| {
            let schema = json!({"description": condition.about});
            (condition.name.to_owned(), schema)
        });
        json!({
            "description": "A value that must be in the list, or a map of conditions, all of which must be met",
            "properties": properties.collect::<Map<_, _>>(),
            "additionalProperties": false,
        })
    }

    /// Returns whether the list of values meets every condition.
    #[must_use]
    pub(super) fn is_match(&self, values: &[Value]) -> bool {
        let has = |constant| values.iter().any(|value| Self::is_same(value, constant));
        self.conditions.iter().all(|condition| match condition {
            ListCondition::Has(constant) => has(constant),
            ListCondition::Is(constant) => values.len() == 1 && has(constant),
            ListCondition::Exclude(constant) => !has(constant),
        })
    }

    /// Returns the values that can make a difference, or `None` when the length of the list makes one, too.
    pub(crate) fn named_values(&self) -> Option<impl Iterator<Item = &Value>> {
        let counts = self
            .conditions
            .iter()
            .any(|condition| matches!(condition, ListCondition::Is(_)));
        let named = self.conditions.iter().map(|condition| match condition {
            ListCondition::Has(value)
            | ListCondition::Is(value)
            | ListCondition::Exclude(value) => value,
        });
        (!counts).then_some(named)
    }

    /// Returns whether two JSON values are equal; numbers are compared by value, so that `5` equals `5.0`.
    pub(crate) fn is_same(left: &Value, right: &Value) -> bool {
        match (left, right) {
            // Two integers are never compared as floats: neighbouring large integers are equal as floats.
            (Value::Number(left), Value::Number(right)) => {
                let inexact = left.is_f64() || right.is_f64();
                left == right || (inexact && left.as_f64() == right.as_f64())
            }
            (Value::Array(left), Value::Array(right)) => {
                let mut pairs = left.iter().zip(right);
                left.len() == right.len() && pairs.all(|(left, right)| Self::is_same(left, right))
            }
            (Value::Object(left), Value::Object(right)) => {
                let mut members = left.iter();
                left.len() == right.len()
                    && members.all(|(key, left)| {
                        right
                            .get(key)
                            .is_some_and(|right| Self::is_same(left, right))
                    })
            }
            _ => left == right,
        }
    }
}
