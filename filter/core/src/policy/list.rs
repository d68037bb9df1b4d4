//! Comparing a list of claim values with constants of the policy.

use serde_json::Value;

/// Conditions on a list; all of them must hold. With no condition every list fits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListMatcher {
    pub(super) conditions: Vec<ListCondition>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ListCondition {
    /// Some element is this.
    Has(Value),
    /// There is one element, and it is this.
    Is(Value),
    /// No element is this.
    Exclude(Value),
}

impl ListMatcher {
    /// Fits lists in which this is.
    pub(super) fn has(value: Value) -> Self {
        Self {
            conditions: vec![ListCondition::Has(value)],
        }
    }

    /// Whether the values fit.
    #[must_use]
    pub fn fits(&self, values: &[Value]) -> bool {
        self.conditions.iter().all(|condition| match condition {
            ListCondition::Has(constant) => values.iter().any(|value| same(value, constant)),
            ListCondition::Is(constant) => matches!(values, [single] if same(single, constant)),
            ListCondition::Exclude(constant) => !values.iter().any(|value| same(value, constant)),
        })
    }

    /// The values that can make a difference, or `None` when their number can, too.
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

    /// Equal as JSON values; numbers by what they are worth, `5` being `5.0`.
    pub(crate) fn same(left: &Value, right: &Value) -> bool {
        same(left, right)
    }
}

fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        // Two whole numbers are never compared as floats, in which neighbours far out are the same.
        (Value::Number(left), Value::Number(right)) => {
            let inexact = left.is_f64() || right.is_f64();
            left == right || (inexact && left.as_f64() == right.as_f64())
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}
