//! From the YAML a person wrote, as JSON, to a [`Policy`], with every problem at once.

mod criteria;
mod matchers;

use serde_json::{Map, Value};

use super::words::{ACTIONS, OPERATORS};
use super::{Criterion, Operator, Policy, Term};
use crate::diagnostics::{Findings, Place, nearest};
use criteria::read_criterion;

/// Most members of an object within a policy: there are fewer words than that.
const MAX_MEMBERS: usize = 64;

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
        for (action, body) in each_once(rules, place, findings) {
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
    let mut terms: Vec<Term> = Vec::new();
    for (name, criteria) in each_once(body, place, findings) {
        let place = place.key(name);
        let lower = name.to_ascii_lowercase();
        if let Some(operator) = Operator::named(&lower) {
            terms.extend(read_term(operator, criteria, &place, findings));
        } else if lower != "action" {
            findings
                .problem(&place, format!("unknown operator `{name}`"))
                .help(suggestion(
                    name,
                    &OPERATORS,
                    "write `and`, `or`, `not` or `nor`",
                ));
        }
    }
    warn_of_mixture(&terms, place, findings);
    terms
}

/// Operators beside each other are alternatives: `and: [a]` with `not: [b]` lets in everybody who is not b.
fn warn_of_mixture(terms: &[Term], place: &Place, findings: &mut Findings) {
    let negative = |term: &Term| matches!(term.operator, Operator::Not | Operator::Nor);
    let both = terms.iter().any(negative) && !terms.iter().all(negative);
    if both {
        findings
            .warning(
                place,
                "operators beside each other are joined by or: one of them is enough",
            )
            .help("put what must not be into a `deny` rule");
    }
}

/// The members of an object, without those whose key stands there twice in different spellings: each is a problem.
fn each_once<'v>(
    object: &'v Map<String, Value>,
    place: &Place,
    findings: &mut Findings,
) -> Vec<(&'v String, &'v Value)> {
    let mut kept: Vec<(&String, &Value)> = Vec::with_capacity(object.len().min(MAX_MEMBERS));
    for (name, value) in object {
        if kept.len() >= MAX_MEMBERS {
            findings
                .problem(place, format!("more than {MAX_MEMBERS} keys"))
                .help("no object of a policy has so many different ones");
            break;
        }
        if kept
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            findings
                .problem(
                    &place.key(name),
                    format!("`{name}` stands twice, in different spellings"),
                )
                .help("keep one of them");
        } else {
            kept.push((name, value));
        }
    }
    kept
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
