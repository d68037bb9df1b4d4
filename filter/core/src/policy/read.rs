//! From the YAML a person wrote, as JSON, to a [`Policy`], with every problem at once.

mod criteria;
mod matchers;

use serde_json::Value;

use super::{Criterion, Operator, Policy, Term};
use crate::config::{Findings, Place, nearest};
use criteria::read_criterion;

const ACTIONS: [&str; 2] = ["allow", "deny"];
const OPERATORS: [(&str, Operator); 4] = [
    ("and", Operator::And),
    ("or", Operator::Or),
    ("not", Operator::Not),
    ("nor", Operator::Nor),
];
impl Policy {
    /// Reads a policy: one rules object, or a list of them. Problems go to `findings`, and what could be read is returned.
    pub(crate) fn read(value: &Value, place: &Place, findings: &mut Findings) -> Self {
        let mut policy = Self::default();
        match value {
            Value::Array(rules) => {
                for (index, rule) in rules.iter().enumerate() {
                    policy.read_rules(rule, &place.item(index), findings);
                }
            }
            other => policy.read_rules(other, place, findings),
        }
        policy
    }

    /// Adds an `or` term of criteria that stand outside the policy text (the older route keys).
    pub(crate) fn allow_any_of(&mut self, criteria: Vec<Criterion>) {
        if !criteria.is_empty() {
            self.allow.insert(
                0,
                Term {
                    operator: Operator::Or,
                    criteria,
                },
            );
        }
    }

    /// Adds an `or` term of criteria to `deny`.
    pub(crate) fn deny_any_of(&mut self, criteria: Vec<Criterion>) {
        if !criteria.is_empty() {
            self.deny.push(Term {
                operator: Operator::Or,
                criteria,
            });
        }
    }

    fn read_rules(&mut self, value: &Value, place: &Place, findings: &mut Findings) {
        let Value::Object(rules) = value else {
            findings
                .problem(place, "a policy rule must be an object")
                .help("write `allow:` or `deny:` with `and`, `or`, `not` or `nor` below it");
            return;
        };
        for (action, body) in rules {
            let place = place.key(action);
            match action.to_ascii_lowercase().as_str() {
                "allow" => self.allow.extend(read_body(body, &place, findings)),
                "deny" => self.deny.extend(read_body(body, &place, findings)),
                _ => {
                    findings
                        .problem(&place, format!("unknown action `{action}`"))
                        .help(suggestion(action, &ACTIONS, "write `allow` or `deny`"));
                }
            }
        }
    }
}

fn read_body(value: &Value, place: &Place, findings: &mut Findings) -> Vec<Term> {
    let Value::Object(body) = value else {
        findings
            .problem(place, "an action must be an object of operators")
            .help("write `and:`, `or:`, `not:` or `nor:` with a list of criteria below it");
        return Vec::new();
    };
    let mut terms = Vec::new();
    for (name, criteria) in body {
        let place = place.key(name);
        let lower = name.to_ascii_lowercase();
        if let Some((_, operator)) = OPERATORS.iter().find(|(known, _)| *known == lower) {
            terms.extend(read_term(*operator, criteria, &place, findings));
        } else if lower != "action" {
            let names = OPERATORS.map(|(known, _)| known);
            findings
                .problem(&place, format!("unknown operator `{name}`"))
                .help(suggestion(
                    name,
                    &names,
                    "write `and`, `or`, `not` or `nor`",
                ));
        }
    }
    terms
}

fn read_term(
    operator: Operator,
    value: &Value,
    place: &Place,
    findings: &mut Findings,
) -> Option<Term> {
    let Value::Array(list) = value else {
        findings
            .problem(place, "an operator takes a list of criteria")
            .help("begin each criterion with `- `, for example `- email: {is: alice@example.com}`");
        return None;
    };
    let criteria: Vec<_> = list
        .iter()
        .enumerate()
        .filter_map(|(index, criterion)| read_criterion(criterion, &place.item(index), findings))
        .collect();
    (!criteria.is_empty()).then_some(Term { operator, criteria })
}

/// `did you mean` when something known is close, else what is possible.
fn suggestion(name: &str, known: &[&str], otherwise: &str) -> String {
    match nearest(name, known.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => otherwise.to_owned(),
    }
}
