//! The claims of an assertion.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{LIFETIME, Party, needed_claims};
use crate::config::{IdentitySettings, IssuerFormat};
use crate::hex::format_uuid;
use crate::http::header::comma_list;
use crate::session::Session;
use crate::time::Timestamp;

/// The claim that names incomplete claims; it is there only when there are any.
const INCOMPLETE: &str = "incomplete_claims";

/// Claims that the proxy itself states; `jwt_claims_headers` cannot put anything else in their place.
pub(super) const BASE: [&str; 13] = [
    "iss", "aud", "jti", "iat", "nbf", "exp", "sub", "user", "email", "groups", "sid", "name",
    INCOMPLETE,
];

/// Those of them that are about the assertion, not about the visitor.
pub(super) const OF_ITSELF: [&str; 6] = ["iss", "aud", "jti", "iat", "nbf", "exp"];

/// The claims about a visitor.
///
/// Only an address that policies may rely on is stated: upstreams do, too.
pub(super) fn of(
    session: &Session,
    party: Party<'_>,
    settings: &IdentitySettings,
    id: [u8; 16],
    now: Timestamp,
) -> Map<String, Value> {
    let host = party.host;
    let issuer = match party.issuer_format {
        IssuerFormat::HostOnly => host.to_owned(),
        IssuerFormat::Uri => format!("https://{host}/"),
    };
    let subject = session.subject.as_str();
    let mut claims = Map::new();
    for (name, value) in [
        ("iss", json!(issuer)),
        ("aud", json!(host)),
        ("jti", json!(format_uuid(id))),
        ("iat", json!(now.0)),
        ("nbf", json!(now.0)),
        ("exp", json!(now.plus(LIFETIME).0)),
        ("sub", json!(subject)),
        ("user", json!(subject)),
        ("email", json!(session.email().unwrap_or_default())),
        (
            "groups",
            json!(texts(session.claim(&settings.groups_claim))),
        ),
        ("sid", json!(session.id)),
        ("name", json!(texts(session.claim("name")).join(","))),
    ] {
        claims.insert(name.to_owned(), value);
    }
    let incomplete = incomplete(session, settings);
    if !incomplete.is_empty() {
        claims.insert(INCOMPLETE.to_owned(), json!(incomplete));
    }
    for (_, name) in &settings.claim_headers {
        if session.has_claim(name) && !BASE.contains(&name.as_str()) {
            claims.insert(name.clone(), joined(session.claim(name)).into());
        }
    }
    claims
}

/// Returns the names of claims of which the session had to give up values, or that have values without a text: objects,
/// and lists within a list.
pub(super) fn incomplete(session: &Session, settings: &IdentitySettings) -> BTreeSet<String> {
    let is_untold = |value: &Value| !value.is_null() && text(value).is_none();
    let untold = needed_claims(settings).filter(|name| session.claim(name).iter().any(is_untold));
    let given_up = session.incomplete_claims();
    given_up
        .chain(untold)
        .map(|name| {
            let is_groups = name.eq_ignore_ascii_case(&settings.groups_claim);
            if is_groups { "groups" } else { name }.to_owned()
        })
        .collect()
}

/// The value of a claim header: empty when there is no such claim, several values as [`comma_list`] writes them.
pub(super) fn header_value(claims: &Map<String, Value>, session: &Session, name: &str) -> Vec<u8> {
    let values = if BASE.contains(&name) {
        match claims.get(name) {
            Some(Value::Array(list)) => list.as_slice(),
            Some(single) => std::slice::from_ref(single),
            None => &[],
        }
    } else {
        session.claim(name)
    };
    comma_list(texts(values).iter().map(String::as_str))
}

/// Several values as one text. What would end a value is escaped as in a claim header, and nothing else: the text is JSON.
fn joined(values: &[Value]) -> String {
    let escaped = |text: String| text.replace('%', "%25").replace(',', "%2C");
    let texts: Vec<String> = texts(values).into_iter().map(escaped).collect();
    texts.join(",")
}

fn texts(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(text).collect()
}

/// Texts, numbers and truth values; nothing else has a text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            // `5.0` is `5`, as in Pomerium.
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        }),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_texts() {
        for (values, text) in [
            (
                json!(["a", 5, 5.0, true, null, {"x": 1}, "b,c"]),
                "a,5,5,true,b%2Cc",
            ),
            (json!([0.5]), "0.5"),
            (json!(["100%", "\u{c5}"]), "100%25,\u{c5}"),
            (json!([]), ""),
        ] {
            assert_eq!(joined(values.as_array().unwrap()), text);
        }
    }
}
