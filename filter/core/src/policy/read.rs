//! Reads a policy from the file, as JSON, and reports every problem at once.

use serde_json::{Map, Value};

use crate::diagnostics::{Findings, KeyPath};
use crate::policy::criteria::Criterion;
use crate::policy::language::ConditionDoc;
use crate::policy::operator::Operator;
use crate::policy::{Policy, Term};

/// The actions of a rule.
pub const ACTIONS: &[&str] = &["allow", "deny"];

/// The most members of a map within a policy: there are fewer words than that.
const MAX_MEMBERS: usize = 64;

impl Policy {
    /// Reads a policy: one rule, or a list of rules. Reports problems to `findings` and returns what could be read.
    pub(crate) fn read(value: &Value, path: &KeyPath, findings: &mut Findings) -> Self {
        let mut policy = Self::default();
        match value {
            Value::Array(rules) => {
                for (index, rule) in rules.iter().enumerate() {
                    policy.read_rule(rule, &path.item(index), findings);
                }
            }
            other => policy.read_rule(other, path, findings),
        }
        policy
    }

    fn read_rule(&mut self, value: &Value, path: &KeyPath, findings: &mut Findings) {
        let Value::Object(rule) = value else {
            findings
                .problem(path, "a policy rule must be a map")
                .help("write `allow:` or `deny:` with `and`, `or`, `not` or `nor` below it");
            return;
        };
        for (action, terms) in each_once(rule, path, findings) {
            let path = path.key(action);
            match action.to_ascii_lowercase().as_str() {
                "allow" => self.allow.extend(read_terms(terms, &path, findings)),
                "deny" => self.deny.extend(read_terms(terms, &path, findings)),
                "rego" => refuse_rego(&path, findings),
                _ => findings
                    .problem(&path, format!("unknown action `{action}`"))
                    .help_near(
                        action,
                        ACTIONS.iter().copied(),
                        &one_of(ACTIONS.iter().copied()),
                    ),
            }
        }
    }
}

fn read_terms(value: &Value, path: &KeyPath, findings: &mut Findings) -> Vec<Term> {
    let Value::Object(map) = value else {
        findings
            .problem(path, "an action must be a map of operators")
            .help("write `and:`, `or:`, `not:` or `nor:` with a list of criteria below it");
        return Vec::new();
    };
    let mut terms: Vec<Term> = Vec::new();
    for (name, criteria) in each_once(map, path, findings) {
        let path = path.key(name);
        let lower = name.to_ascii_lowercase();
        if let Some(operator) = Operator::with_name(&lower) {
            terms.extend(read_term(operator, criteria, &path, findings));
        } else if lower == "rego" {
            refuse_rego(&path, findings);
        } else if lower != "action" {
            let known = || Operator::ALL.iter().map(|operator| operator.name());
            findings
                .problem(&path, format!("unknown operator `{name}`"))
                .help_near(name, known(), &one_of(known()));
        }
    }
    warn_of_mixture(&terms, path, findings);
    terms
}

/// Reports a rule in Rego, which is valid in none of the places within a policy.
pub(super) fn refuse_rego(path: &KeyPath, findings: &mut Findings) {
    findings
        .problem(path, "`rego` is not supported: it is a rule in another language")
        .help("write the same rule with criteria, for example `or: [{email: {is: alice@example.com}}]`");
}

/// Warns about `and: [a]` beside `not: [b]`, which admits every user who is not b: operators next to each other are
/// alternatives.
fn warn_of_mixture(terms: &[Term], path: &KeyPath, findings: &mut Findings) {
    let is_negative = |term: &Term| matches!(term.operator, Operator::Not | Operator::Nor);
    let has_both = terms.iter().any(is_negative) && !terms.iter().all(is_negative);
    if has_both {
        findings
            .warning(
                path,
                "operators next to each other are alternatives: one of them is enough",
            )
            .help("move what must be excluded into a `deny` rule");
    }
}

fn read_term(
    operator: Operator,
    value: &Value,
    path: &KeyPath,
    findings: &mut Findings,
) -> Option<Term> {
    let Value::Array(list) = value else {
        findings
            .problem(
                path,
                format!("`{}` must be a list of criteria", operator.name()),
            )
            .help("begin each criterion with `- `, for example `- email: {is: alice@example.com}`");
        return None;
    };
    let criteria: Vec<_> = list
        .iter()
        .enumerate()
        .filter_map(|(index, criterion)| Criterion::read(criterion, &path.item(index), findings))
        .collect();
    (!criteria.is_empty()).then_some(Term { operator, criteria })
}

/// Returns the members of a map. A key that occurs twice, in different spellings, is a problem and returned once.
pub(super) fn each_once<'v>(
    map: &'v Map<String, Value>,
    path: &KeyPath,
    findings: &mut Findings,
) -> Vec<(&'v String, &'v Value)> {
    let mut kept: Vec<(&String, &Value)> = Vec::with_capacity(map.len().min(MAX_MEMBERS));
    for (name, value) in map {
        if kept.len() >= MAX_MEMBERS {
            findings
                .problem(path, format!("more than {MAX_MEMBERS} keys"))
                .help("remove unknown keys: no map of a policy has that many");
            break;
        }
        if kept
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            findings
                .problem(
                    &path.key(name),
                    format!("duplicate key `{name}` (keys are case-insensitive)"),
                )
                .help("keep one of them");
        } else {
            kept.push((name, value));
        }
    }
    kept
}

/// Reports a condition that is not one of those `known`.
pub(super) fn report_unknown_condition(
    name: &str,
    path: &KeyPath,
    known: &[ConditionDoc],
    findings: &mut Findings,
) {
    let names = || known.iter().map(|condition| condition.name);
    findings
        .problem(path, format!("unknown condition `{name}`"))
        .help_near(name, names(), &one_of(names()));
}

/// Returns the help "write `a`, `b` or `c`".
fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => format!("write {last}"),
        Some((last, others)) => format!("write {} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Reads a string or a list of strings, each by `read`. Returns `None` when one of them cannot be read.
pub(super) fn read_each<T>(value: &Value, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    match value {
        Value::String(string) => Some(vec![read(string)?]),
        Value::Array(list) => list.iter().map(|item| read(item.as_str()?)).collect(),
        _ => None,
    }
}
