//! Properties of every policy.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Outcome, policy};
use crate::http::client_certificate::{Certificate, ClientCertificate};
use crate::oidc::claims::read_identity;
use crate::policy::{Decision, Facts, Policy};
use crate::session::Session;
use crate::session::claim_filter::ClaimFilter;
use crate::time::Timestamp;

/// Somebody who asks for something at some time from somewhere.
#[derive(Clone, Debug)]
struct Authentication {
    claims: Option<Value>,
    method: &'static str,
    path: &'static str,
    preflight: bool,
    source: Option<&'static str>,
    now: u64,
    certificate: Option<Option<Certificate>>,
}

impl Authentication {
    /// The decision of a policy, with its reasons.
    fn judged_by(&self, policy: &Policy) -> (Outcome, String) {
        let now = Timestamp(self.now);
        let session = self.claims.as_ref().and_then(|claims| {
            let needs = ClaimFilter::of(std::iter::once(policy));
            let trust = crate::config::EmailTrust::default();
            let identity = read_identity(claims.as_object()?, &trust, &needs).ok()?;
            Some(Session::new("i".to_owned(), identity, now, 3600))
        });
        let facts = Facts {
            session: session.as_ref(),
            method: self.method,
            path: self.path,
            preflight: self.preflight,
            source: self.source.and_then(|source| source.parse().ok()),
            now,
            certificate: match &self.certificate {
                None => ClientCertificate::NotAsked,
                Some(None) => ClientCertificate::Missing,
                Some(Some(shown)) => ClientCertificate::Valid(shown),
            },
        };
        match policy.decide(&facts) {
            Decision::Allow(_) => (Outcome::Allow, String::new()),
            Decision::Deny(reasons) => (Outcome::Deny, reasons.to_string()),
            Decision::SignIn(reasons) => (Outcome::SignIn, reasons.to_string()),
        }
    }
}

fn any_visit() -> impl Strategy<Value = Authentication> {
    let claims = proptest::option::of(
        ("[ab]", "[ab]@[xy]", "[ab]", any::<bool>()).prop_map(|(sub, email, group, verified)| {
            json!({"sub": sub, "email": email, "groups": [group, "c"], "email_verified": verified, "org": {"level": 5}})
        }),
    );
    let request = (
        prop_oneof![Just("GET"), Just("OPTIONS")],
        prop_oneof![Just("/"), Just("/a"), Just("/a/b")],
        any::<bool>(),
    );
    let source = proptest::option::of(prop_oneof![
        Just("10.0.0.1"),
        Just("192.0.2.1"),
        Just("2001:db8::1")
    ]);
    let certificate =
        proptest::option::of(proptest::option::of("[ab]".prop_map(|name| Certificate {
            fingerprint: name.repeat(64),
            san_dns: vec![name],
            ..Certificate::default()
        })));
    (claims, request, source, 0..3_000_000_000_u64, certificate).prop_map(
        |(claims, (method, path, preflight), source, now, certificate)| Authentication {
            claims,
            method,
            path,
            preflight,
            source,
            now,
            certificate,
        },
    )
}

/// Conditions on a text, with one or two of them at once.
fn any_text_matcher() -> impl Strategy<Value = Value> {
    let text = "([abXY]|[AB]@X|[ab]@[xy]|/a|GET|@|true|5|: #)";
    let list = proptest::collection::vec(text, 0..4);
    let condition = prop_oneof![
        ("is|not|starts_with|ends_with|contains", text)
            .prop_map(|(name, text)| (name, json!(text))),
        ("in|not_in", list).prop_map(|(name, texts)| (name, json!(texts))),
        ("is|not", Just(())).prop_map(|(name, ())| (name, json!(5))),
    ];
    prop_oneof![
        text.prop_map(|text| json!(text)),
        proptest::collection::vec(condition, 0..3)
            .prop_map(|conditions| Value::Object(conditions.into_iter().collect::<Map<_, _>>())),
    ]
}

fn any_list_matcher() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        "[abc]".prop_map(|text| json!(text)),
        Just(json!(5)),
        Just(json!(5.5)),
        Just(json!(true)),
        Just(Value::Null),
        Just(json!(["a", {"b": 1}])),
    ];
    let conditions = proptest::collection::hash_map("has|is|exclude", value.clone(), 0..3)
        .prop_map(|conditions| json!(conditions));
    prop_oneof![
        value.prop_filter("objects are conditions", |value| !value.is_object()),
        conditions
    ]
}

fn any_criterion() -> impl Strategy<Value = Value> {
    let of = |name: &'static str| move |value: Value| json!({name: value});
    let text = any_text_matcher;
    let words = prop_oneof![
        Just("accept"),
        Just("reject"),
        Just("authenticated_user"),
        Just("cors_preflight"),
        Just("invalid_client_certificate"),
        Just("pomerium_routes")
    ];
    let about_people = prop_oneof![
        text().prop_map(of("email")),
        text().prop_map(of("domain")),
        text().prop_map(of("user")),
        any_list_matcher().prop_map(of("groups")),
        any_list_matcher().prop_map(of("claim/org.level")),
        any_list_matcher().prop_map(of("claim/https://ns.test/Roles")),
    ];
    let about_requests = prop_oneof![
        text().prop_map(of("http_method")),
        text().prop_map(of("http_path")),
        proptest::collection::vec(
            "10\\.0\\.0\\.[0-9]|10\\.0\\.0\\.0/[89]|::ffff:10\\.0\\.0\\.1|2001:db8::/3[0-9]",
            0..3
        )
        .prop_map(|networks| json!({"source_ip": networks})),
        prop_oneof![
            Just(json!({"fingerprint": "a".repeat(64)})),
            text().prop_map(of("san_dns"))
        ]
        .prop_map(of("client_certificate")),
    ];
    let about_time = prop_oneof![
        "(mon|tue|wednesday)(-fri|-sun)?(,sat)?|\\*".prop_map(|days| json!({"day_of_week": days})),
        ("20[0-9]{2}-0[1-9]-1[0-9](T0[0-9]:30:00(\\.5)?(Z|\\+01:00)?)?", proptest::option::of("Europe/Berlin|UTC"))
            .prop_map(|(after, timezone)| match timezone {
                Some(timezone) => json!({"date": {"after": after, "timezone": timezone}}),
                None => json!({"date": {"before": after}}),
            }),
        ("1?[0-9]:[0-5][0-9](:30(\\.25)?)?|1[0-2] ?(AM|pm)", "UTC|Europe/Berlin|Asia/Kathmandu")
            .prop_map(|(time, timezone)| json!({"time_of_day": {"after": time, "before": "17:00", "timezone": timezone}})),
    ];
    prop_oneof![
        words.prop_map(|name| json!({name: true})),
        about_people,
        about_requests,
        about_time
    ]
}

fn any_body() -> impl Strategy<Value = Value> {
    let list = proptest::collection::vec(any_criterion(), 0..4);
    proptest::collection::hash_map(prop_oneof!["and", "or", "not", "nor"], list, 0..3)
        .prop_map(|body| json!(body))
}

/// The same body with each list in another order.
fn turned(body: &Value) -> Value {
    let lists = body.as_object().into_iter().flatten().map(|(name, list)| {
        let mut list = list.as_array().cloned().unwrap_or_default();
        list.reverse();
        (name.clone(), Value::Array(list))
    });
    Value::Object(lists.collect())
}

/// The same body without its questions about people.
fn without_people(body: &Value) -> Value {
    const PEOPLE: [&str; 5] = ["email", "domain", "user", "groups", "authenticated_user"];
    let public = |criterion: &Value| {
        let name = criterion
            .as_object()
            .and_then(|object| object.keys().next());
        name.is_some_and(|name| !PEOPLE.contains(&name.as_str()) && !name.starts_with("claim/"))
    };
    let lists = body
        .as_object()
        .into_iter()
        .flatten()
        .map(|(operator, list)| {
            let list = list.as_array().into_iter().flatten();
            let kept = list
                .filter(|criterion| public(criterion))
                .cloned()
                .collect();
            (operator.clone(), Value::Array(kept))
        });
    Value::Object(lists.collect())
}

proptest! {
    #[test]
    fn a_deny_rule_never_lets_anybody_in(allow in any_body(), deny in any_body(), visit in any_visit()) {
        let without = visit.judged_by(&policy(&json!({"allow": allow}))).0;
        let with = visit.judged_by(&policy(&json!([{"allow": allow}, {"deny": deny}]))).0;
        prop_assert!(with != Outcome::Allow || without == Outcome::Allow);
    }

    #[test]
    fn order_does_not_matter(allow in any_body(), deny in any_body(), visit in any_visit()) {
        let one = policy(&json!([{"allow": allow}, {"deny": deny}]));
        let other = policy(&json!([{"deny": turned(&deny)}, {"allow": turned(&allow)}]));
        prop_assert_eq!(visit.judged_by(&one), visit.judged_by(&other));
    }

    /// A policy that allows an anonymous client does so by its other criteria: it still does without all criteria about users.
    #[test]
    fn without_a_session_only_public_criteria_allow(allow in any_body(), deny in any_body(), visit in any_visit()) {
        let visit = Authentication { claims: None, ..visit };
        if visit.judged_by(&policy(&json!([{"allow": &allow}, {"deny": &deny}]))).0 == Outcome::Allow {
            let public = json!([{"allow": without_people(&allow)}, {"deny": without_people(&deny)}]);
            prop_assert_eq!(visit.judged_by(&policy(&public)).0, Outcome::Allow);
        }
    }

    #[test]
    fn a_printed_policy_reads_as_the_same(allow in any_body(), deny in any_body()) {
        let read = policy(&json!([{"allow": allow}, {"deny": deny}]));
        prop_assert_eq!(&policy(&read.to_value()), &read);
    }

    /// The trace is told by the code that decides, and it tells the same.
    #[test]
    fn a_trace_agrees_with_the_decision(allow in any_body(), deny in any_body(), visit in any_visit()) {
        let read = policy(&json!([{"allow": allow}, {"deny": deny}]));
        let facts = Facts {
            session: None,
            method: visit.method,
            path: visit.path,
            preflight: visit.preflight,
            source: None,
            now: Timestamp(visit.now),
            certificate: ClientCertificate::NotAsked,
        };
        let trace = read.trace(&facts, None);
        let allowed = trace.allow.iter().any(|term| term.holds) && !trace.deny.iter().any(|term| term.holds);
        match read.decide(&facts) {
            Decision::Allow(_) => prop_assert!(allowed),
            Decision::Deny(_) => prop_assert!(!allowed),
            Decision::SignIn(_) => {}
        }
    }
}
