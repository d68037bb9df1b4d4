mod vectors;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::{Findings, Place};
use crate::env::Timestamp;
use crate::session::Identity;

fn read(value: &Value) -> (Policy, Findings) {
    let mut findings = Findings::default();
    let policy = Policy::read(value, &Place::root(), &mut findings);
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
fn the_guides_policy() {
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
    for (body, email, expected) in [
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
            json!({"And": [a], "action": "whatever"}),
            "a@x.test",
            Outcome::Allow,
        ),
    ] {
        assert_eq!(
            outcome(&json!({"allow": body}), Some(email)),
            expected,
            "{body} {email}"
        );
    }
}

#[test]
fn deny_beats_allow_and_public_needs_nobody() {
    let public = json!({"allow": {"or": [{"accept": true}]}});
    assert_eq!(outcome(&public, None), Outcome::Allow);
    let banned =
        json!([{"allow": {"or": [{"accept": true}]}}, {"deny": {"or": [{"email": "e@x.test"}]}}]);
    assert_eq!(outcome(&banned, Some("e@x.test")), Outcome::Deny);
    assert_eq!(outcome(&banned, Some("a@x.test")), Outcome::Allow);
    assert_eq!(
        outcome(&banned, None),
        Outcome::SignIn,
        "a deny rule about people needs to know who it is"
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
fn nobody_is_nobody() {
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
    for (matcher, fits) in [
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
        let expected = if fits { Outcome::Allow } else { Outcome::Deny };
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

#[test]
fn problems_name_the_place_and_the_way_out() {
    for (value, place, message, help) in [
        (
            json!("x"),
            "",
            "a policy rule must be an object",
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
            "an action must be an object",
            "write `and:`",
        ),
        (
            json!({"allow": {"ro": []}}),
            "allow.ro",
            "unknown operator `ro`",
            "write `and`",
        ),
        (
            json!([{"allow": {"or": {}}}]),
            "[0].allow.or",
            "an operator takes a list",
            "begin each criterion",
        ),
        (
            json!({"allow": {"or": ["x"]}}),
            "allow.or[0]",
            "exactly one key",
            "one criterion per list item",
        ),
        (
            json!({"allow": {"or": [{"emial": "x"}]}}),
            "allow.or[0].emial",
            "unknown criterion `emial`",
            "did you mean `email`?",
        ),
        (
            json!({"allow": {"or": [{"device": {"is": "x"}}]}}),
            "allow.or[0].device",
            "cannot be judged",
            "devices are not enrolled",
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
            "a list of texts",
            "write `[",
        ),
        (
            json!({"deny": {"or": [{"email": {"contains": 1}}]}}),
            "deny.or[0].email.contains",
            "takes a text",
            "in quotes",
        ),
    ] {
        let (_, findings) = read(&value);
        let problem = &findings.problems()[0];
        assert_eq!(problem.path, place, "{value}");
        assert!(problem.message.contains(message), "{value}: {problem}");
        assert!(
            problem
                .help
                .as_deref()
                .is_some_and(|text| text.contains(help)),
            "{value}: {problem}"
        );
    }
}

#[test]
fn traps_are_warned_of() {
    for value in [
        json!({"email": ["a", "b"]}),
        json!({"accept": false}),
        json!({"email": 5}),
    ] {
        let (_, findings) = read(&json!({"allow": {"or": [value]}}));
        assert_eq!(
            (findings.problem_count(), findings.warnings().len()),
            (0, 1),
            "{value}"
        );
    }
}

fn any_criterion() -> impl Strategy<Value = Value> {
    let matcher = prop_oneof![
        "[ab]@[xy]".prop_map(|text| json!({"is": text})),
        "[ab]@[xy]".prop_map(|text| json!({"not": text})),
        Just(json!({})),
        Just(json!({"contains": "@"})),
    ];
    prop_oneof![
        Just(json!({"accept": true})),
        Just(json!({"reject": true})),
        Just(json!({"authenticated_user": true})),
        matcher
            .clone()
            .prop_map(|matcher| json!({"email": matcher})),
        matcher.prop_map(|matcher| json!({"domain": matcher})),
    ]
}

fn any_body() -> impl Strategy<Value = Value> {
    let list = proptest::collection::vec(any_criterion(), 0..4);
    proptest::collection::hash_map(prop_oneof!["and", "or", "not", "nor"], list, 0..3)
        .prop_map(|body| json!(body))
}

fn any_visitor() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[ab]@[xy]".prop_map(|email| email))
}

proptest! {
    #[test]
    fn a_deny_rule_never_lets_anybody_in(allow in any_body(), deny in any_body(), who in any_visitor()) {
        let without = outcome(&json!({"allow": allow}), who.as_deref());
        let with = outcome(&json!([{"allow": allow}, {"deny": deny}]), who.as_deref());
        prop_assert!(with != Outcome::Allow || without == Outcome::Allow);
    }

    #[test]
    fn order_does_not_matter(allow in any_body(), deny in any_body(), who in any_visitor()) {
        let reversed: Value = allow
            .as_object()
            .map(|body| body.iter().map(|(name, list)| {
                let mut list = list.as_array().cloned().unwrap_or_default();
                list.reverse();
                (name.clone(), Value::Array(list))
            }).collect())
            .unwrap_or_default();
        let one = policy(&json!([{"allow": allow}, {"deny": deny}]));
        let other = policy(&json!([{"deny": deny}, {"allow": reversed}]));
        prop_assert_eq!(decide(&one, who.as_deref()), decide(&other, who.as_deref()));
    }

    /// What allows an anonymous visitor holds by itself: with every question about people taken out, it still does.
    #[test]
    fn without_a_session_only_public_criteria_allow(allow in any_body(), deny in any_body()) {
        if outcome(&json!([{"allow": &allow}, {"deny": &deny}]), None) == Outcome::Allow {
            let public = json!([{"allow": without_people(&allow)}, {"deny": without_people(&deny)}]);
            prop_assert_eq!(outcome(&public, None), Outcome::Allow);
        }
    }
}

fn without_people(body: &Value) -> Value {
    let public =
        |criterion: &Value| criterion.get("accept").is_some() || criterion.get("reject").is_some();
    let lists = body
        .as_object()
        .into_iter()
        .flatten()
        .map(|(operator, list)| {
            let kept = list
                .as_array()
                .into_iter()
                .flatten()
                .filter(|criterion| public(criterion))
                .cloned()
                .collect();
            (operator.clone(), Value::Array(kept))
        });
    Value::Object(lists.collect())
}
