//! From a policy back to the text that means the same.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::policy::certificate::{CertificateCondition, SanKind};
use crate::policy::list::ListCondition;
use crate::policy::matcher::Condition;
use crate::policy::{
    CertificateMatcher, Criterion, ListMatcher, Operator, Policy, StringMatcher, Term,
};

impl Policy {
    /// The policy in its own language, one rule for each operator. Reading it again gives an equal policy.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let rules = |action: &'static str, terms: &[Term]| {
            let rule = |term: &Term| {
                let criteria: Vec<Value> = term.criteria.iter().map(Criterion::to_value).collect();
                json!({action: {term.operator.name(): criteria}})
            };
            terms.iter().map(rule).collect::<Vec<_>>()
        };
        let mut all = rules("allow", &self.allow);
        all.extend(rules("deny", &self.deny));
        Value::Array(all)
    }
}

impl Operator {
    /// The operator of that name, in lower case.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::And, Self::Or, Self::Not, Self::Nor]
            .into_iter()
            .find(|operator| operator.name() == name)
    }

    /// Its name in a policy.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
            Self::Not => "not",
            Self::Nor => "nor",
        }
    }
}

impl Criterion {
    /// The criterion in the policy language: an object with one key.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let (name, argument) = self.parts();
        json!({name: argument})
    }

    /// The criterion on one line, as YAML: `email: {is: alice@example.com}`.
    #[must_use]
    pub fn to_line(&self) -> String {
        let (name, argument) = self.parts();
        let mut line = format!("{}: ", flow_text(&name));
        flow(&argument, &mut line);
        line
    }

    fn parts(&self) -> (String, Value) {
        let (name, argument) = match self {
            Self::Accept => ("accept", json!(true)),
            Self::Reject => ("reject", json!(true)),
            Self::AuthenticatedUser => ("authenticated_user", json!(true)),
            Self::CorsPreflight => ("cors_preflight", json!(true)),
            Self::InvalidClientCertificate => ("invalid_client_certificate", json!(true)),
            Self::PomeriumRoutes => ("pomerium_routes", json!(true)),
            Self::Email(matcher) => ("email", text_matcher(matcher)),
            Self::Domain(matcher) => ("domain", text_matcher(matcher)),
            Self::User(matcher) => ("user", text_matcher(matcher)),
            Self::HttpMethod(matcher) => ("http_method", text_matcher(matcher)),
            Self::HttpPath(matcher) => ("http_path", text_matcher(matcher)),
            Self::Claim(name, matcher) => return (format!("claim/{name}"), list_matcher(matcher)),
            Self::Groups(_, matcher) => ("groups", list_matcher(matcher)),
            Self::SourceIp(networks) => {
                let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                ("source_ip", json!(networks))
            }
            Self::ClientCertificate(matcher) => {
                ("client_certificate", certificate_matcher(matcher))
            }
            Self::Date(window) => {
                let instant = |seconds| {
                    Timestamp::from_second(seconds)
                        .ok()
                        .map(|at| at.to_string())
                };
                let after = window.after.and_then(instant);
                let before = window.before.and_then(instant);
                ("date", bounds(after, before))
            }
            Self::DayOfWeek(days) => ("day_of_week", json!(days.to_string())),
            Self::TimeOfDay(window) => {
                let after = window.after.map(|time| time.to_string());
                let before = window.before.map(|time| time.to_string());
                let mut argument = bounds(after, before);
                if let Some(object) = argument.as_object_mut() {
                    let zone = window.zone.iana_name().unwrap_or("UTC");
                    object.insert("timezone".to_owned(), json!(zone));
                }
                ("time_of_day", argument)
            }
        };
        (name.to_owned(), argument)
    }
}

fn bounds(after: Option<String>, before: Option<String>) -> Value {
    let mut object = Map::new();
    let given = [("after", after), ("before", before)];
    for (name, value) in given {
        object.extend(value.map(|value| (name.to_owned(), Value::String(value))));
    }
    Value::Object(object)
}

fn text_matcher(matcher: &StringMatcher) -> Value {
    let conditions = matcher.conditions.iter().map(|condition| {
        let (name, constant) = match condition {
            Condition::Is(text) => ("is", json!(text)),
            Condition::Not(text) => ("not", json!(text)),
            // Nothing that is not a text is equal to one.
            Condition::Never => ("is", Value::Null),
            Condition::StartsWith(text) => ("starts_with", json!(text)),
            Condition::EndsWith(text) => ("ends_with", json!(text)),
            Condition::Contains(text) | Condition::AddressContains(text, _) => {
                ("contains", json!(text))
            }
            Condition::In(texts) => ("in", json!(texts)),
            Condition::NotIn(texts) => ("not_in", json!(texts)),
        };
        (name.to_owned(), constant)
    });
    Value::Object(conditions.collect())
}

fn list_matcher(matcher: &ListMatcher) -> Value {
    let conditions = matcher.conditions.iter().map(|condition| {
        let (name, constant) = match condition {
            ListCondition::Has(constant) => ("has", constant),
            ListCondition::Is(constant) => ("is", constant),
            ListCondition::Exclude(constant) => ("exclude", constant),
        };
        (name.to_owned(), constant.clone())
    });
    Value::Object(conditions.collect())
}

fn certificate_matcher(matcher: &CertificateMatcher) -> Value {
    let conditions = matcher.conditions.iter().map(|condition| {
        let (name, constant) = match condition {
            CertificateCondition::Fingerprint(known) => ("fingerprint", json!(known)),
            CertificateCondition::SpkiHash(known) => ("spki_hash", json!(known)),
            CertificateCondition::San(kind, matcher) => {
                let name = match kind {
                    SanKind::Dns => "san_dns",
                    SanKind::Email => "san_email",
                    SanKind::Uri => "san_uri",
                };
                (name, text_matcher(matcher))
            }
        };
        (name.to_owned(), constant)
    });
    Value::Object(conditions.collect())
}

/// YAML's flow style, on one line.
fn flow(value: &Value, line: &mut String) {
    match value {
        Value::Array(items) => {
            line.push('[');
            for (place, item) in items.iter().enumerate() {
                line.push_str(if place > 0 { ", " } else { "" });
                flow(item, line);
            }
            line.push(']');
        }
        Value::Object(members) => {
            line.push('{');
            for (place, (name, member)) in members.iter().enumerate() {
                line.push_str(if place > 0 { ", " } else { "" });
                line.push_str(&flow_text(name));
                line.push_str(": ");
                flow(member, line);
            }
            line.push('}');
        }
        Value::String(text) => line.push_str(&flow_text(text)),
        other => line.push_str(&other.to_string()),
    }
}

/// A text without quotes where YAML takes it for a text, else in double quotes, which JSON's rules fit.
fn flow_text(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./@+*=".contains(&byte);
    let begins_well = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'/');
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if begins_well && !word && text.bytes().all(plain) {
        text.to_owned()
    } else {
        Value::String(text.to_owned()).to_string()
    }
}
