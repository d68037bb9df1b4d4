//! Reading the conditions of a criterion.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{each_once, suggestion};
use crate::diagnostics::{Findings, Place};
use crate::policy::certificate::{
    CertificateCondition, CertificateMatcher, SanKind, read_fingerprint,
};
use crate::policy::list::{ListCondition, ListMatcher};
use crate::policy::matcher::{Condition, StringMatcher};
use crate::policy::words::{CERTIFICATE_CONDITIONS, LIST_CONDITIONS, TEXT_CONDITIONS};

/// A string matcher: an object of conditions, or a bare value that means `is`.
pub(super) fn read_matcher(
    value: &Value,
    place: &Place,
    findings: &mut Findings,
    fold: fn(String) -> String,
) -> Option<StringMatcher> {
    let before = findings.problem_count();
    let conditions: Vec<_> = match value {
        Value::Object(conditions) => each_once(conditions, place, findings)
            .into_iter()
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
                findings.problem(place, format!("unknown condition `{name}`")).help(suggestion(
                name,
                &TEXT_CONDITIONS,
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

/// A list matcher: an object of conditions, or a bare value that means `has`.
pub(super) fn read_list_matcher(
    value: &Value,
    place: &Place,
    findings: &mut Findings,
) -> Option<ListMatcher> {
    let Value::Object(object) = value else {
        if value.is_array() {
            findings
                .warning(
                    place,
                    "a list is compared as a whole with each value, so this probably never holds",
                )
                .help("write one criterion for each value");
        }
        return Some(ListMatcher {
            conditions: vec![ListCondition::Has(value.clone())],
        });
    };
    let mut conditions = Vec::new();
    for (name, constant) in each_once(object, place, findings) {
        let condition = match name.to_ascii_lowercase().as_str() {
            "has" => ListCondition::Has,
            "is" => ListCondition::Is,
            "exclude" => ListCondition::Exclude,
            _ => {
                findings
                    .problem(&place.key(name), format!("unknown condition `{name}`"))
                    .help(suggestion(
                        name,
                        &LIST_CONDITIONS,
                        "write `has`, `is` or `exclude`",
                    ));
                return None;
            }
        };
        conditions.push(condition(constant.clone()));
    }
    Some(ListMatcher { conditions })
}

/// A certificate matcher: an object of conditions.
pub(super) fn read_certificate_matcher(
    value: &Value,
    place: &Place,
    findings: &mut Findings,
) -> Option<CertificateMatcher> {
    let Value::Object(object) = value else {
        findings
            .problem(place, "`client_certificate` takes an object of conditions")
            .help("write `fingerprint`, `spki_hash`, `san_dns`, `san_email` or `san_uri` below it");
        return None;
    };
    let before = findings.problem_count();
    let mut conditions = Vec::new();
    for (name, constant) in each_once(object, place, findings) {
        conditions.extend(read_certificate_condition(
            name,
            constant,
            &place.key(name),
            findings,
        ));
    }
    (findings.problem_count() == before).then_some(CertificateMatcher { conditions })
}

fn read_certificate_condition(
    name: &str,
    constant: &Value,
    place: &Place,
    findings: &mut Findings,
) -> Option<CertificateCondition> {
    let san = |kind, findings: &mut Findings| {
        read_matcher(constant, place, findings, |name| name)
            .map(|matcher| CertificateCondition::San(kind, matcher))
    };
    match name.to_ascii_lowercase().as_str() {
        "fingerprint" => {
            let read = read_each(constant, read_fingerprint);
            if read.is_none() {
                findings
                    .problem(place, "this is not a SHA-256 fingerprint")
                    .help("write 64 lower-case hexadecimal digits, or 32 upper-case pairs with colons");
            }
            read.map(CertificateCondition::Fingerprint)
        }
        "spki_hash" => {
            let hash = |text: &str| {
                STANDARD
                    .decode(text)
                    .ok()
                    .filter(|hash| hash.len() == 32)
                    .map(|_| text.to_owned())
            };
            let read = read_each(constant, hash);
            if read.is_none() {
                findings
                    .problem(place, "this is not a hash of a public key")
                    .help("write 32 bytes in base64");
            }
            read.map(CertificateCondition::SpkiHash)
        }
        "san_dns" => san(SanKind::Dns, findings),
        "san_email" => san(SanKind::Email, findings),
        "san_uri" => san(SanKind::Uri, findings),
        _ => {
            findings
                .problem(place, format!("unknown condition `{name}`"))
                .help(suggestion(
                    name,
                    &CERTIFICATE_CONDITIONS,
                    "write `fingerprint`, `spki_hash`, `san_dns`, `san_email` or `san_uri`",
                ));
            None
        }
    }
}

/// One text or a list of texts, each of which must be readable.
pub(super) fn read_each<T>(value: &Value, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    match value {
        Value::String(text) => Some(vec![read(text)?]),
        Value::Array(list) => list.iter().map(|item| read(item.as_str()?)).collect(),
        _ => None,
    }
}
