//! Selects the claims that a session keeps: those that policies evaluate and those that upstreams get.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::digest::hash_configuration;
use crate::json::join_names;
use crate::policy::{ListMatcher, Policy};
use crate::session::Session;

/// How many levels of nested claims are flattened; deeper ones are dropped.
const MAX_DEPTH: usize = 8;

/// The claims that a session keeps, and which of their values.
#[derive(Debug, Default)]
pub struct ClaimFilter {
    by_name: BTreeMap<String, KeptValues>,
    /// Whether every claim is kept with all its values.
    everything: bool,
}

/// Which values of a claim are kept.
#[derive(Debug)]
enum KeptValues {
    /// All values: a policy depends on all of them, or upstreams get the claim.
    All,
    /// The values that a policy names: a list of four hundred groups is reduced to the two that matter.
    Named(Vec<Value>),
}

impl ClaimFilter {
    /// Creates the filter for several policies.
    pub fn of<'p>(policies: impl Iterator<Item = &'p Policy>) -> Self {
        let mut needs = Self::default();
        for (name, matcher) in policies.flat_map(Policy::claims) {
            needs.add(name, matcher);
        }
        needs
    }

    /// Adds claims with all their values, because upstreams get them.
    pub(crate) fn keep_all<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        for name in names {
            self.by_name
                .insert(name.to_ascii_lowercase(), KeptValues::All);
        }
    }

    /// Creates a filter that keeps every claim, to show what a provider states.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            everything: true,
            ..Self::default()
        }
    }

    fn add(&mut self, name: &str, matcher: &ListMatcher) {
        let values = self
            .by_name
            .entry(name.to_ascii_lowercase())
            .or_insert_with(|| KeptValues::Named(Vec::new()));
        match (matcher.named_values(), values) {
            (Some(named), KeptValues::Named(known)) => known.extend(named.cloned()),
            (Some(_), KeptValues::All) => {}
            (None, values) => *values = KeptValues::All,
        }
    }

    /// Removes the values of one of the session's claims that the filter does not name, and marks the claim as incomplete
    /// when there were any.
    pub(crate) fn trim(&self, name: &str, session: &mut Session) {
        let Some(values) = session.claims.get_mut(name) else {
            return;
        };
        let before = values.len();
        if self.includes(name) {
            self.retain(name, values);
        } else {
            values.clear();
        }
        let is_changed = values.len() < before;
        if !self.includes(name) {
            session.claims.remove(name);
        }
        if is_changed {
            session.incomplete.insert(name.to_owned());
        }
    }

    /// Returns a digest of the filter, which does not depend on the order of its claims and values; empty when it keeps none.
    #[must_use]
    pub fn digest(&self) -> String {
        if self.by_name.is_empty() {
            return String::new();
        }
        let mut needs = String::new();
        for (name, values) in &self.by_name {
            let mut parts = match values {
                KeptValues::All => vec!["*".to_owned()],
                KeptValues::Named(named) => named.iter().map(Value::to_string).collect(),
            };
            parts.sort_unstable();
            parts.dedup();
            // JSON, because no two lists of claims and values have the same form in it.
            needs.push_str(&json!([name, parts]).to_string());
        }
        hash_configuration(needs.as_bytes())
    }

    /// Selects the needed claims and flattens them as Pomerium does: nested names are joined by dots, and every claim becomes a
    /// list of values.
    #[must_use]
    pub fn select(&self, claims: &Map<String, Value>) -> BTreeMap<String, Vec<Value>> {
        let mut kept = BTreeMap::new();
        if self.everything || !self.by_name.is_empty() {
            self.walk("", claims, 0, &mut kept);
        }
        kept
    }

    /// Returns whether a claim of this name is needed.
    pub(crate) fn includes(&self, name: &str) -> bool {
        self.everything || self.by_name.contains_key(&name.to_ascii_lowercase())
    }

    /// Removes the values of a claim that no policy names.
    pub(crate) fn retain(&self, name: &str, values: &mut Vec<Value>) {
        let needed = self.by_name.get(&name.to_ascii_lowercase());
        if let Some(KeptValues::Named(named)) = needed {
            values.retain(|value| named.iter().any(|known| ListMatcher::is_same(known, value)));
        }
    }

    /// Returns whether a needed claim is missing.
    pub(crate) fn is_missing_any(&self, claims: &Map<String, Value>) -> bool {
        let present = self.select(claims);
        let known = |name: &String| present.keys().any(|known| known.eq_ignore_ascii_case(name));
        // `name` is optional: upstreams get it if the provider states it without a further request.
        self.by_name
            .keys()
            .any(|name| name != "name" && !known(name))
    }

    fn walk(
        &self,
        prefix: &str,
        claims: &Map<String, Value>,
        depth: usize,
        kept: &mut BTreeMap<String, Vec<Value>>,
    ) {
        for (key, value) in claims {
            let name = join_names(prefix, key);
            match value {
                Value::Object(nested) if depth < MAX_DEPTH => {
                    self.walk(&name, nested, depth + 1, kept)
                }
                Value::Array(values) => self.keep(name, values, kept),
                single => self.keep(name, std::slice::from_ref(single), kept),
            }
        }
    }

    fn keep(&self, name: String, values: &[Value], kept: &mut BTreeMap<String, Vec<Value>>) {
        if self.everything {
            kept.insert(name, values.to_vec());
            return;
        }
        let Some(needed) = self.by_name.get(&name.to_ascii_lowercase()) else {
            return;
        };
        let values = match needed {
            KeptValues::All => values.to_vec(),
            KeptValues::Named(named) => values
                .iter()
                .filter(|value| named.iter().any(|known| ListMatcher::is_same(known, value)))
                .cloned()
                .collect(),
        };
        kept.insert(name, values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::{Findings, KeyPath};
    use serde_json::json;

    fn select(policy: &Value, claims: &Value) -> Value {
        let policy = Policy::read(policy, &KeyPath::root(), &mut Findings::default());
        let kept = ClaimFilter::of(std::iter::once(&policy)).select(claims.as_object().unwrap());
        json!(kept)
    }

    #[test]
    fn only_what_can_matter_is_kept() {
        let claims = json!({"groups": ["a", "b", "c"], "org": {"Unit": {"id": 5}, "x": 1}, "level": 5, "other": "y"});
        for (criterion, kept) in [
            (json!({"groups": "a"}), json!({"groups": ["a"]})),
            (
                json!({"groups": {"exclude": "b", "has": "z"}}),
                json!({"groups": ["b"]}),
            ),
            (
                json!({"groups": {"is": "a"}}),
                json!({"groups": ["a", "b", "c"]}),
            ),
            (
                json!({"claim/org.unit.id": 5.0}),
                json!({"org.Unit.id": [5]}),
            ),
            (json!({"claim/LEVEL": {}}), json!({"level": []})),
            (json!({"email": "x"}), json!({})),
        ] {
            assert_eq!(
                select(&json!({"allow": {"or": [criterion]}}), &claims),
                kept,
                "{criterion}"
            );
        }
    }
}
