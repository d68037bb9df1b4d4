//! The expected decision of a case, and its differences from the actual one.

use std::collections::BTreeSet;

use jetway_core::explain::Explanation;
use serde_json::Value;

use super::fields::{Fields, Findings, Unknown};

/// Decisions that a case may expect of a valid policy.
const DECISIONS: [&str; 3] = ["allow", "deny", "login"];
/// The word for an invalid policy.
const INVALID: &str = "invalid";
const KEYS: [&str; 4] = ["decision", "reasons", "route", "status"];

/// The expected decision; only the given parts are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expectation {
    decision: Option<&'static str>,
    status: Option<u16>,
    /// The name or id of the route; `Some(None)` when there should be none.
    route: Option<Option<String>>,
    /// All of the reasons, in any order.
    reasons: Option<BTreeSet<String>>,
}

/// The actual decision.
#[derive(Clone, Copy, Debug)]
pub(super) enum ActualDecision<'a> {
    /// The case's own policy is invalid, for this reason.
    Invalid(&'a str),
    /// A decision.
    Explained(&'a Explanation),
}

impl Expectation {
    /// Reads the name of a decision, or a map with more details. `own` says whether the case has its own policy.
    pub(super) fn read(
        value: &Value,
        path: &str,
        own: bool,
        findings: &mut Findings,
    ) -> Option<Self> {
        if let Value::String(text) = value {
            return Some(Self {
                decision: Some(read_decision(text, path, own, findings)?),
                ..Self::default()
            });
        }
        let before = findings.problems.len();
        let fields = Fields::open(value, path, &KEYS, Unknown::Refused, findings)?;
        let decision = fields
            .string("decision", findings)
            .and_then(|text| read_decision(text, &fields.path_of("decision"), own, findings));
        let status = read_status(&fields, findings);
        let route = match fields.value("route") {
            None => fields.has("route").then_some(None),
            Some(_) => fields
                .string("route", findings)
                .map(|name| Some(name.to_owned())),
        };
        let reasons = fields
            .has("reasons")
            .then(|| fields.strings("reasons", findings).into_iter().collect());
        let expectation = Self {
            decision,
            status,
            route,
            reasons,
        };
        if findings.problems.len() > before {
            return None;
        }
        if expectation == Self::default() {
            let help =
                "write for example `expect: deny` or `expect: {decision: deny, status: 403}`";
            findings.problem(path, "nothing is expected", help);
            return None;
        }
        Some(expectation)
    }

    /// Returns each difference: `expected deny, got allow`.
    pub(super) fn differences(&self, answer: ActualDecision<'_>) -> Vec<String> {
        let explanation = match answer {
            ActualDecision::Explained(explanation) => explanation,
            ActualDecision::Invalid(_) if self.decision == Some(INVALID) => return Vec::new(),
            ActualDecision::Invalid(why) => {
                let expected = self.decision.unwrap_or("a decision");
                return vec![format!("expected {expected}, got {INVALID}: {why}")];
            }
        };
        let mut differences = Vec::new();
        let decision = explanation.decision.word();
        if let Some(expected) = self.decision.filter(|expected| *expected != decision) {
            differences.push(format!("expected {expected}, got {decision}"));
        }
        let status = explanation.status;
        if let Some(expected) = self.status.filter(|expected| *expected != status) {
            differences.push(format!("expected status {expected}, got {status}"));
        }
        differences.extend(self.route_difference(explanation));
        differences.extend(self.reasons_difference(explanation));
        differences
    }

    fn route_difference(&self, explanation: &Explanation) -> Option<String> {
        let expected = self.route.as_ref()?;
        let route = explanation.route.as_ref();
        let fits = match (expected, route) {
            (None, None) => true,
            (Some(name), Some(route)) => *name == route.name || *name == route.id,
            _ => false,
        };
        let told =
            |name: Option<&str>| name.map_or_else(|| "none".to_owned(), |name| format!("`{name}`"));
        (!fits).then(|| {
            let (expected, got) = (expected.as_deref(), route.map(|route| route.name.as_str()));
            format!("expected route {}, got {}", told(expected), told(got))
        })
    }

    fn reasons_difference(&self, explanation: &Explanation) -> Option<String> {
        let expected = self.reasons.as_ref()?;
        let got: BTreeSet<String> = explanation
            .reasons
            .iter()
            .map(|reason| (*reason).to_owned())
            .collect();
        let told = |reasons: &BTreeSet<String>| {
            let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
            if reasons.is_empty() {
                "none".to_owned()
            } else {
                reasons.join(", ")
            }
        };
        (*expected != got)
            .then(|| format!("expected reasons {}, got {}", told(expected), told(&got)))
    }
}

fn read_decision(
    text: &str,
    path: &str,
    own: bool,
    findings: &mut Findings,
) -> Option<&'static str> {
    let known = DECISIONS.into_iter().find(|known| *known == text);
    if known.is_some() {
        return known;
    }
    if text == INVALID {
        if own {
            return Some(INVALID);
        }
        let message = "only a case with its own policy can expect `invalid`";
        findings.problem(path, message, "use `jetway check` to validate a file");
        return None;
    }
    let help = "write `allow`, `deny` or `login`";
    findings.problem(path, format!("`{text}` is not a decision"), help);
    None
}

fn read_status(fields: &Fields<'_>, findings: &mut Findings) -> Option<u16> {
    let value = fields.value("status")?;
    let status = value
        .as_u64()
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (100..600).contains(status));
    if status.is_none() {
        let path = fields.path_of("status");
        findings.problem(
            &path,
            "this is not an HTTP status",
            "write for example `403`",
        );
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::explain::{Address, OfflineGate, Scenario};
    use jetway_core::config::Config;
    use jetway_core::time::Timestamp;
    use serde_json::json;

    /// A refusal of the route `wiki`.
    fn refusal() -> Explanation {
        let file = json!({"routes": [{"from": "https://app.test", "to": "http://a", "name": "wiki",
            "policy": {"allow": {"or": [{"reject": true}]}}}]});
        let gate = OfflineGate::new(Config::read(&file, &|_| None).unwrap().config);
        let address = Address::read("app.test").unwrap();
        gate.explain(&Scenario::new("GET", &address, &[], Timestamp(0)))
    }

    fn expectation(value: Value) -> Expectation {
        Expectation::read(&value, "expect", true, &mut Findings::default()).unwrap()
    }

    #[test]
    fn only_the_given_parts_are_compared() {
        let refusal = refusal();
        for value in [
            json!("deny"),
            json!({"status": 403}),
            json!({"route": "wiki"}),
            json!({"route": refusal.route.as_ref().unwrap().id}),
            json!({"reasons": ["reject"]}),
            json!({"reasons": "reject", "decision": "deny", "route": "wiki", "status": 403}),
        ] {
            let differences =
                expectation(value.clone()).differences(ActualDecision::Explained(&refusal));
            assert_eq!(differences, [""; 0], "{value}");
        }
    }

    #[test]
    fn each_difference_is_reported() {
        let expected = expectation(
            json!({"decision": "login", "status": 303, "route": null, "reasons": ["a", "b"]}),
        );
        assert_eq!(
            expected.differences(ActualDecision::Explained(&refusal())),
            [
                "expected login, got deny",
                "expected status 303, got 403",
                "expected route none, got `wiki`",
                "expected reasons a, b, got reject",
            ]
        );
        assert_eq!(
            expected.differences(ActualDecision::Invalid("it is empty")),
            ["expected login, got invalid: it is empty"]
        );
    }

    #[test]
    fn an_invalid_policy_can_be_expected() {
        let expected = expectation(json!("invalid"));
        assert_eq!(expected.differences(ActualDecision::Invalid("")), [""; 0]);
        assert_eq!(
            expected.differences(ActualDecision::Explained(&refusal())),
            ["expected invalid, got deny"]
        );
    }
}
