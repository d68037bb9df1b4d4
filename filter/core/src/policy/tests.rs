mod allocation;
mod language;
mod properties;
mod vectors;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::diagnostics::{Findings, KeyPath};
use crate::http::client_certificate::ClientCertificate;
use crate::session::Identity;
use crate::time::Timestamp;

fn read(value: &Value) -> (Policy, Findings) {
    let mut findings = Findings::default();
    let policy = Policy::read(value, &KeyPath::root(), &mut findings);
    (policy, findings)
}

fn policy(value: &Value) -> Policy {
    let (policy, findings) = read(value);
    assert_eq!(findings.problem_count(), 0, "{findings:?}");
    policy
}

fn session(email: &str) -> Session {
    let identity = Identity {
        subject: "s".to_owned(),
        email: Some(email.to_owned()),
        email_verified: true,
        claims: Default::default(),
    };
    Session::new("i".to_owned(), identity, Timestamp(0), 60)
}

use crate::session::Session;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Allow,
    Deny,
    SignIn,
}

fn facts(session: Option<&Session>) -> Facts<'_> {
    Facts {
        session,
        method: "GET",
        path: "/",
        preflight: false,
        source: None,
        now: Timestamp(0),
        certificate: ClientCertificate::NotAsked,
    }
}

fn decide(policy: &Policy, email: Option<&str>) -> (Outcome, String) {
    let session = email.map(session);
    match policy.decide(&facts(session.as_ref())) {
        Decision::Allow(_) => (Outcome::Allow, String::new()),
        Decision::Deny(reasons) => (Outcome::Deny, reasons.to_string()),
        Decision::SignIn(reasons) => (Outcome::SignIn, reasons.to_string()),
    }
}

fn outcome(value: &Value, email: Option<&str>) -> Outcome {
    decide(&policy(value), email).0
}

#[test]
fn the_policy_of_the_guide() {
    let guide = json!([{"allow": {"or": [{"email": {"is": "alice@example.com"}}, {"email": {"is": "bob@example.com"}}]}}]);
    assert_eq!(outcome(&guide, Some("alice@example.com")), Outcome::Allow);
    assert_eq!(outcome(&guide, Some("bob@EXAMPLE.com")), Outcome::Allow);
    assert_eq!(
        decide(&policy(&guide), Some("mallory@example.com")),
        (Outcome::Deny, "email-unauthorized".to_owned())
    );
    assert_eq!(
        decide(&policy(&guide), None),
        (Outcome::SignIn, "user-unauthenticated".to_owned())
    );
}

#[test]
fn operators() {
    let a = json!({"email": "a@x.test"});
    let x = json!({"domain": "x.test"});
    for (action, email, expected) in [
        (json!({"and": [a, x]}), "a@x.test", Outcome::Allow),
        (json!({"and": [a, x]}), "b@x.test", Outcome::Deny),
        (json!({"or": [a, x]}), "b@x.test", Outcome::Allow),
        (json!({"not": [a, x]}), "b@y.test", Outcome::Allow),
        (json!({"not": [a, x]}), "b@x.test", Outcome::Deny),
        (json!({"nor": [a, x]}), "b@x.test", Outcome::Allow),
        (json!({"nor": [a, x]}), "a@x.test", Outcome::Deny),
        (json!({"and": [], "or": []}), "a@x.test", Outcome::Deny),
        (json!({"and": [a], "not": [x]}), "b@y.test", Outcome::Allow),
        (
            json!({"And": [a], "action": "anything"}),
            "a@x.test",
            Outcome::Allow,
        ),
    ] {
        assert_eq!(
            outcome(&json!({"allow": action}), Some(email)),
            expected,
            "{action} {email}"
        );
    }
}

#[test]
fn deny_beats_allow_and_a_public_route_needs_no_session() {
    let public = json!({"allow": {"or": [{"accept": true}]}});
    assert_eq!(outcome(&public, None), Outcome::Allow);
    let banned =
        json!([{"allow": {"or": [{"accept": true}]}}, {"deny": {"or": [{"email": "e@x.test"}]}}]);
    assert_eq!(outcome(&banned, Some("e@x.test")), Outcome::Deny);
    assert_eq!(outcome(&banned, Some("a@x.test")), Outcome::Allow);
    assert_eq!(
        outcome(&banned, None),
        Outcome::SignIn,
        "a deny rule about users needs a session"
    );
    assert_eq!(
        outcome(&json!({"allow": {"or": [{"reject": true}]}}), None),
        Outcome::Deny
    );
    assert_eq!(
        decide(&Policy::default(), None),
        (Outcome::Deny, String::new())
    );
}

#[test]
fn user_criteria_never_match_without_a_session() {
    for matcher in [
        json!({"not": "x"}),
        json!({}),
        json!({"not_in": ["x"]}),
        json!({"is": ""}),
        json!({"starts_with": ""}),
    ] {
        for operator in ["and", "or", "not", "nor"] {
            let value = json!({"allow": {operator: [{"email": matcher}, {"domain": matcher}]}});
            assert_eq!(outcome(&value, None), Outcome::SignIn, "{value}");
        }
    }
}

#[test]
fn matchers() {
    for (matcher, is_match) in [
        (json!("a@x.test"), true),
        (json!({"is": "a@X.test"}), true),
        (json!({"is": "A@x.test"}), false),
        (json!({"not": "b@x.test"}), true),
        (json!({"starts_with": "a@", "ends_with": "@x.test"}), true),
        (json!({"starts_with": "a@", "ends_with": "@y.test"}), false),
        (json!({"contains": "@x"}), true),
        (json!({"in": ["a@x.test", "b"]}), true),
        (json!({"not_in": ["a@x.test", "b"]}), false),
        (json!(["a@x.test"]), false),
        (json!(5), false),
        (json!({"not": 5}), true),
    ] {
        let expected = if is_match {
            Outcome::Allow
        } else {
            Outcome::Deny
        };
        assert_eq!(
            outcome(
                &json!({"allow": {"and": [{"email": matcher}]}}),
                Some("a@x.test")
            ),
            expected,
            "{matcher}"
        );
    }
}

/// Sessions keep domains in lower case: a rule must match them in any spelling.
#[test]
fn case_does_not_matter_in_domains() {
    for (matcher, is_match) in [
        (json!({"ends_with": "@X.TEST"}), true),
        (json!({"ends_with": ".TEST"}), true),
        (json!({"contains": "X.T"}), true),
        (json!({"contains": "@X"}), true),
        (json!({"contains": "A@x"}), false),
        (json!({"contains": "A"}), false),
        (json!({"in": ["a@X.TEST"]}), true),
        (json!({"not_in": ["a@X.TEST"]}), false),
        (json!({"starts_with": "a@X"}), true),
        (json!({"starts_with": "A"}), false),
    ] {
        let expected = if is_match {
            Outcome::Deny
        } else {
            Outcome::Allow
        };
        let value =
            json!([{"allow": {"or": [{"accept": true}]}}, {"deny": {"or": [{"email": matcher}]}}]);
        assert_eq!(outcome(&value, Some("a@x.TEST")), expected, "{value}");
    }
}

#[test]
fn odd_addresses_have_no_domain() {
    for email in ["a@evil@x.test", "@x.test", "a@", "x.test"] {
        assert_eq!(
            outcome(
                &json!({"allow": {"or": [{"domain": "x.test"}]}}),
                Some(email)
            ),
            Outcome::Deny,
            "{email}"
        );
    }
}

/// Checks that the first problem of each policy has this path, message and help.
fn check_problems(cases: &[(Value, &str, &str, &str)]) {
    for (value, path, message, help) in cases {
        let (_, findings) = read(value);
        let problem = &findings.problems()[0];
        assert_eq!(problem.path, *path, "{value}");
        assert!(problem.message.contains(message), "{value}: {problem}");
        assert!(
            problem
                .help
                .as_deref()
                .is_some_and(|given| given.contains(help)),
            "{value}: {problem}"
        );
    }
}

#[test]
fn problems_name_the_path_and_the_fix() {
    check_problems(&[
        (
            json!("x"),
            "",
            "a policy rule must be a map",
            "write `allow:`",
        ),
        (
            json!({"alow": {}}),
            "alow",
            "unknown action `alow`",
            "did you mean `allow`?",
        ),
        (
            json!({"allow": []}),
            "allow",
            "an action must be a map of operators",
            "write `and:`",
        ),
        (
            json!({"allow": {"ro": []}}),
            "allow.ro",
            "unknown operator `ro`",
            "write `and`, `or`, `not` or `nor`",
        ),
        (
            json!([{"allow": {"or": {}}}]),
            "[0].allow.or",
            "`or` must be a list of criteria",
            "begin each criterion",
        ),
        (
            json!({"allow": {"or": ["x"]}}),
            "allow.or[0]",
            "a map with exactly one key",
            "one criterion per list item",
        ),
    ]);
}

#[test]
fn problems_of_criteria_name_the_path_and_the_fix() {
    check_problems(&[
        (
            json!({"allow": {"or": [{"emial": "x"}]}}),
            "allow.or[0].emial",
            "unknown criterion `emial`",
            "did you mean `email`?",
        ),
        (
            json!({"allow": {"or": [{"device": {"is": "x"}}]}}),
            "allow.or[0].device",
            "criterion `device` is not supported",
            "does not enrol devices",
        ),
        (
            json!({"deny": {"or": [{"email": {"ends-with": "x"}}]}}),
            "deny.or[0].email.ends-with",
            "unknown condition `ends-with`",
            "did you mean `ends_with`?",
        ),
        (
            json!({"deny": {"or": [{"email": {"in": "x"}}]}}),
            "deny.or[0].email.in",
            "must be a list of strings",
            "write `[",
        ),
        (
            json!({"deny": {"or": [{"email": {"contains": 1}}]}}),
            "deny.or[0].email.contains",
            "`contains` must be a string",
            "in quotes",
        ),
    ]);
}

#[test]
fn every_problem_of_a_window_is_reported() {
    for (value, paths) in [
        (
            json!({"time_of_day": {"timezone": "Europe/Berlinn", "after": "25:00", "before": "x"}}),
            &[
                "time_of_day.timezone",
                "time_of_day.after",
                "time_of_day.before",
            ][..],
        ),
        (
            json!({"time_of_day": {"timezne": "UTC", "after": "8:00"}}),
            &["time_of_day.timezne"],
        ),
        (json!({"time_of_day": {"after": "8:00"}}), &["time_of_day"]),
        (
            json!({"date": {"zone": "UTC", "before": "x"}}),
            &["date.zone", "date.before"],
        ),
    ] {
        let (_, findings) = read(&json!({"allow": {"or": [&value]}}));
        let reported: BTreeSet<&str> = findings
            .problems()
            .iter()
            .filter_map(|problem| problem.path.strip_prefix("allow.or[0]."))
            .collect();
        assert_eq!(reported, paths.iter().copied().collect(), "{value}");
        assert_eq!(findings.problem_count(), paths.len(), "{value}");
    }
}

#[test]
fn likely_mistakes_are_warned_of() {
    for value in [
        json!({"email": ["a", "b"]}),
        json!({"accept": false}),
        json!({"email": 5}),
        json!({"domain": {"ends_with": "x.test"}}),
        json!({"claim/a/b": "c"}),
        json!({"pomerium_routes": true}),
        json!({"user": {"is": "alice@example.com"}}),
        json!({"user": {"not_in": ["u1", "alice@example.com"]}}),
        json!({"email": {"is": "example.com"}}),
        json!({"email": {"in": ["a@x.test", "*@x.test"]}}),
        json!({"email": "@x.test"}),
        json!({"email": {"not": "alice"}}),
        json!({"domain": {"is": "alice@example.com"}}),
        json!({"domain": "@example.com"}),
        json!({"domain": {"in": ["*.example.com"]}}),
    ] {
        let (_, findings) = read(&json!({"allow": {"or": [value]}}));
        assert_eq!(
            (findings.problem_count(), findings.warnings().len()),
            (0, 1),
            "{value}"
        );
    }
}

#[test]
fn values_that_can_match_are_not_warned_of() {
    for value in [
        json!({"user": {"is": "auth0|5f7"}}),
        json!({"user": "alice@clients"}),
        json!({"user": {"ends_with": "@example.com"}}),
        json!({"email": {"is": ""}}),
        json!({"email": "alice@localhost"}),
        json!({"email": {"ends_with": "@example.com"}}),
        json!({"domain": {"is": "localhost"}}),
        json!({"domain": {"ends_with": ".example.com"}}),
    ] {
        let (_, findings) = read(&json!({"allow": {"or": [value]}}));
        assert_eq!(
            (findings.problem_count(), findings.warnings().len()),
            (0, 0),
            "{value}"
        );
    }
}

/// The values of `email` and `user` are compared as they are; the help names the criterion that was meant.
#[test]
fn warnings_of_other_values_say_what_to_write() {
    for (value, help) in [
        (json!({"email": "*@x.test"}), "`domain: {is: x.test}`"),
        (json!({"email": "alice"}), "complete address"),
        (json!({"domain": "@x.test"}), "`x.test`"),
        (json!({"domain": "a@x.test"}), "`email`"),
        (json!({"domain": "*.x.test"}), "no wildcards"),
        (json!({"user": "a@x.test"}), "`email` instead"),
    ] {
        let (_, findings) = read(&json!({"allow": {"or": [value]}}));
        let given = findings.warnings()[0].help.clone().unwrap();
        assert!(given.contains(help), "{value}: {given}");
    }
}

#[test]
fn rego_is_refused_by_name() {
    for value in [
        json!({"allow": {"rego": "package a"}}),
        json!({"rego": ["package a"]}),
        json!({"deny": {"or": [{"rego": "package a"}]}}),
    ] {
        let (_, findings) = read(&value);
        assert_eq!(findings.problem_count(), 1, "{value}");
        let message = &findings.problems()[0].message;
        assert!(message.contains("`rego` is not supported"), "{message}");
    }
}

#[test]
fn positive_and_negative_operators_together_are_warned_of() {
    for (action, warnings) in [
        (
            json!({"and": [{"accept": true}], "not": [{"user": "u"}]}),
            1,
        ),
        (json!({"and": [{"accept": true}], "not": []}), 0),
        (json!({"and": [{"accept": true}], "or": [{"user": "u"}]}), 0),
        (
            json!({"nor": [{"accept": true}], "not": [{"user": "u"}]}),
            0,
        ),
    ] {
        let (_, findings) = read(&json!({"allow": action}));
        assert_eq!(findings.warnings().len(), warnings, "{action}");
    }
}

#[test]
fn a_key_in_two_spellings_is_a_problem() {
    for value in [
        json!({"allow": {"or": []}, "Allow": {"or": []}}),
        json!({"allow": {"or": [], "OR": []}}),
        json!({"allow": {"or": [{"email": {"is": "a", "IS": "b"}}]}}),
        json!({"allow": {"or": [{"groups": {"has": "a", "Has": "b"}}]}}),
    ] {
        let (_, findings) = read(&value);
        assert_eq!(findings.problem_count(), 1, "{value}");
    }
}

#[test]
fn a_criterion_prints_as_an_operator_would_write_it() {
    for (value, line) in [
        (json!({"email": "a@x.test"}), "email: {is: a@x.test}"),
        (
            json!({"groups": {"has": "the admins"}}),
            "groups: {has: \"the admins\"}",
        ),
        (json!({"claim/level": 5}), "claim/level: {has: 5}"),
        (
            json!({"user": {"in": ["b", "true", "a"]}}),
            "user: {in: [a, b, \"true\"]}",
        ),
        (
            json!({"source_ip": "10.0.0.0/8"}),
            "source_ip: [\"10.0.0.0/8\"]",
        ),
        (
            json!({"day_of_week": "sat-mon"}),
            "day_of_week: \"mon,sat,sun\"",
        ),
        (
            json!({"time_of_day": {"after": "9 AM", "timezone": "Europe/Berlin"}}),
            "time_of_day: {after: \"09:00:00\", timezone: Europe/Berlin}",
        ),
    ] {
        let policy = policy(&json!({"allow": {"or": [value]}}));
        assert_eq!(policy.allow[0].criteria[0].to_line(), line);
    }
}
