//! From the YAML a person wrote, as JSON, to a [`Policy`], with every problem at once.

use serde_json::Value;

use super::matcher::Condition;
use super::{Criterion, Operator, Policy, StringMatcher, Term};
use crate::config::{Findings, Place, nearest};
use crate::session::lower_case_domain;

const ACTIONS: [&str; 2] = ["allow", "deny"];
const OPERATORS: [(&str, Operator); 4] = [
    ("and", Operator::And),
    ("or", Operator::Or),
    ("not", Operator::Not),
    ("nor", Operator::Nor),
];
const CRITERIA: [&str; 5] = ["accept", "authenticated_user", "domain", "email", "reject"];
/// Criteria that Pomerium has and this version does not.
const OTHER_CRITERIA: [&str; 18] = [
    "claim",
    "client_certificate",
    "cors_preflight",
    "date",
    "day_of_week",
    "device",
    "groups",
    "http_method",
    "http_path",
    "invalid_client_certificate",
    "mcp_tool",
    "pomerium_routes",
    "record",
    "source_ip",
    "ssh_publickey",
    "ssh_username",
    "time_of_day",
    "user",
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

fn read_criterion(value: &Value, place: &Place, findings: &mut Findings) -> Option<Criterion> {
    let single = match value {
        Value::Object(object) if object.len() == 1 => object.iter().next(),
        _ => None,
    };
    let Some((name, argument)) = single else {
        findings
            .problem(place, "a criterion must be an object with exactly one key")
            .help("write one criterion per list item, for example `- domain: {is: example.com}`");
        return None;
    };
    let place = place.key(name);
    let lower = name
        .split('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    match lower.as_str() {
        "accept" => {
            if *argument == Value::Bool(false) {
                findings
                    .warning(&place, "`accept: false` accepts all the same")
                    .help("write `reject: true` to refuse");
            }
            Some(Criterion::Accept)
        }
        "reject" => Some(Criterion::Reject),
        "authenticated_user" => Some(Criterion::AuthenticatedUser),
        "email" => {
            read_matcher(argument, &place, findings, lower_case_domain).map(Criterion::Email)
        }
        "domain" => read_matcher(argument, &place, findings, |domain| {
            domain.to_ascii_lowercase()
        })
        .map(Criterion::Domain),
        _ => {
            unknown_criterion(name, &lower, &place, findings);
            None
        }
    }
}

fn unknown_criterion(name: &str, lower: &str, place: &Place, findings: &mut Findings) {
    if OTHER_CRITERIA.contains(&lower) {
        findings
            .problem(
                place,
                format!("criterion `{name}` is not supported by this version"),
            )
            .help("supported are `accept`, `reject`, `authenticated_user`, `email` and `domain`");
    } else {
        findings
            .problem(place, format!("unknown criterion `{name}`"))
            .help(suggestion(
                lower,
                &CRITERIA,
                "write `accept`, `reject`, `authenticated_user`, `email` or `domain`",
            ));
    }
}

/// A string matcher: an object of conditions, or a bare value that means `is`.
fn read_matcher(
    value: &Value,
    place: &Place,
    findings: &mut Findings,
    fold: fn(String) -> String,
) -> Option<StringMatcher> {
    let before = findings.problem_count();
    let conditions: Vec<_> = match value {
        Value::Object(conditions) => conditions
            .iter()
            .filter_map(|(name, constant)| {
                read_condition(name, constant, &place.key(name), findings)
            })
            .collect(),
        bare => vec![equal_to(bare, place, findings)],
    };
    let conditions = conditions
        .into_iter()
        .map(|condition| condition.map(fold))
        .collect();
    (findings.problem_count() == before).then_some(StringMatcher { conditions })
}

fn read_condition(
    name: &str,
    constant: &Value,
    place: &Place,
    findings: &mut Findings,
) -> Option<Condition> {
    let condition =
        match name.to_ascii_lowercase().as_str() {
            "is" => return Some(equal_to(constant, place, findings)),
            "not" => {
                return match constant {
                    Value::String(text) => Some(Condition::Not(text.clone())),
                    // Every text differs from what is not a text: nothing to check.
                    _ => {
                        findings.warning(
                            place,
                            "`not` is given something that is not a text, so it always holds",
                        );
                        None
                    }
                };
            }
            "in" => return read_list(constant, place, findings).map(Condition::In),
            "not_in" => return read_list(constant, place, findings).map(Condition::NotIn),
            "starts_with" => Condition::StartsWith,
            "ends_with" => Condition::EndsWith,
            "contains" => Condition::Contains,
            _ => {
                const NAMES: [&str; 7] = [
                    "is",
                    "not",
                    "in",
                    "not_in",
                    "starts_with",
                    "ends_with",
                    "contains",
                ];
                findings.problem(place, format!("unknown condition `{name}`")).help(suggestion(
                name,
                &NAMES,
                "write `is`, `not`, `in`, `not_in`, `starts_with`, `ends_with` or `contains`",
            ));
                return None;
            }
        };
    match constant {
        Value::String(text) => Some(condition(text.clone())),
        _ => {
            findings
                .problem(place, format!("`{name}` takes a text"))
                .help("put the value in quotes");
            None
        }
    }
}

fn equal_to(constant: &Value, place: &Place, findings: &mut Findings) -> Condition {
    match constant {
        Value::String(text) => Condition::Is(text.clone()),
        Value::Array(_) => {
            findings
                .warning(
                    place,
                    "a list is never equal to a text, so this never holds",
                )
                .help("write `in: [..]` to accept any of several");
            Condition::Never
        }
        _ => {
            findings
                .warning(place, "this is not a text, so it never holds")
                .help("put the value in quotes");
            Condition::Never
        }
    }
}

fn read_list(value: &Value, place: &Place, findings: &mut Findings) -> Option<Vec<String>> {
    let texts = match value {
        Value::Array(list) => list
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>(),
        _ => None,
    };
    if texts.is_none() {
        findings
            .problem(place, "a list of texts is needed")
            .help("write `[first, second]`");
    }
    texts
}

/// `did you mean` when something known is close, else what is possible.
fn suggestion(name: &str, known: &[&str], otherwise: &str) -> String {
    match nearest(name, known.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => otherwise.to_owned(),
    }
}
