//! Outcomes without a difference that is known.

use super::super::observation::{Answered, Forwarded, Outcome};
use super::super::request::Request;

/// The outcome with the lines of each field joined, and without empty cookies.
pub(super) fn joined(_request: &Request, outcome: Outcome) -> Outcome {
    map_fields(&outcome, |fields| {
        let mut joined: Vec<(String, String)> = Vec::new();
        for (name, value) in fields {
            if name == "cookie" && value.is_empty() {
                continue;
            }
            match joined.last_mut() {
                Some((last, all)) if *last == name && name != "set-cookie" => {
                    // Envoy drops empty ones.
                    let is_between = !all.is_empty() && !value.is_empty();
                    let separator = if name == "cookie" { "; " } else { "," };
                    all.push_str(if is_between { separator } else { "" });
                    all.push_str(&value);
                }
                _ => joined.push((name, value)),
            }
        }
        joined
    })
}

/// The outcome without the end of a connection whose request was answered before its body was read.
pub(super) fn without_end_of_unread(request: &Request, outcome: Outcome) -> Outcome {
    let is_unread = !request.body.is_empty() && outcome.forwarded.is_empty();
    Outcome {
        ends: outcome.ends && !is_unread,
        ..outcome
    }
}

/// The outcome without the id of the request.
pub(super) fn without_id(outcome: &Outcome) -> Outcome {
    map_fields(outcome, |mut fields| {
        fields.retain(|(name, _)| name != "x-request-id");
        fields
    })
}

/// The outcome with addresses of IPv4 in their usual form.
pub(super) fn unmapped(_request: &Request, outcome: Outcome) -> Outcome {
    map_fields(&outcome, |mut fields| {
        for (_, value) in &mut fields {
            *value = value.replace("::ffff:", "");
        }
        fields
    })
}

/// The outcome with the name of an upgrade in small letters.
pub(super) fn in_small_letters(_request: &Request, outcome: Outcome) -> Outcome {
    map_fields(&outcome, |mut fields| {
        for (name, value) in &mut fields {
            if name == "upgrade" {
                value.make_ascii_lowercase();
            }
        }
        fields
    })
}

/// The outcome without the field that the recorder's `Connection` names.
pub(super) fn without_named(_request: &Request, outcome: Outcome) -> Outcome {
    map_fields(&outcome, |mut fields| {
        fields.retain(|(name, _)| name != "x-hop");
        fields
    })
}

/// The outcome without the fields that announce trailers.
pub(super) fn without_trailers(_request: &Request, outcome: Outcome) -> Outcome {
    map_fields(&outcome, |mut fields| {
        fields.retain(|(name, value)| {
            name != "trailer" && (name != "te" || !matches!(value.as_str(), "trailers" | ""))
        });
        fields
    })
}

/// The outcome with lengths that begin with no zero.
pub(super) fn without_zeros(_request: &Request, outcome: Outcome) -> Outcome {
    map_fields(&outcome, |mut fields| {
        for (name, value) in &mut fields {
            let digits = value.trim_start_matches('0');
            if name == "content-length" && !digits.is_empty() {
                *value = digits.to_owned();
            }
        }
        fields
    })
}

type Fields = Vec<(String, String)>;

fn map_fields(outcome: &Outcome, change: impl Fn(Fields) -> Fields) -> Outcome {
    let Outcome { answer, .. } = outcome;
    let forwarded = outcome.forwarded.iter().map(|one| Forwarded {
        fields: change(one.fields.clone()),
        ..one.clone()
    });
    Outcome {
        answer: Answered {
            fields: change(answer.fields.clone()),
            ..answer.clone()
        },
        forwarded: forwarded.collect(),
        ..outcome.clone()
    }
}
