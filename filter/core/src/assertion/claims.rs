//! The claims of an assertion.

use serde_json::{Map, Value, json};

use super::{LIFETIME, Party};
use crate::config::{IdentitySettings, IssuerFormat};
use crate::env::Timestamp;
use crate::session::Session;

/// Claims that the proxy itself states; `jwt_claims_headers` cannot put anything else in their place.
pub(super) const BASE: [&str; 12] = [
    "iss", "aud", "jti", "iat", "nbf", "exp", "sub", "user", "email", "groups", "sid", "name",
];

/// Those of them that are about the assertion, not about the visitor.
pub(super) const OF_ITSELF: [&str; 6] = ["iss", "aud", "jti", "iat", "nbf", "exp"];

/// The claims about a visitor, or about nobody on a public route.
///
/// Only an address that policies may rely on is stated: upstreams do, too.
pub(super) fn of(
    session: Option<&Session>,
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
    let subject = session.map_or("", |session| session.subject.as_str());
    let claim = |name: &str| session.map_or(&[][..], |session| session.claim(name));
    let groups: Vec<String> = claim(&settings.groups_claim)
        .iter()
        .filter_map(text)
        .collect();
    let mut claims = Map::new();
    for (name, value) in [
        ("iss", json!(issuer)),
        ("aud", json!(host)),
        ("jti", json!(uuid(id))),
        ("iat", json!(now.0)),
        ("nbf", json!(now.0)),
        ("exp", json!(now.plus(LIFETIME).0)),
        ("sub", json!(subject)),
        ("user", json!(subject)),
        (
            "email",
            json!(session.and_then(Session::email).unwrap_or_default()),
        ),
        ("groups", json!(groups)),
        (
            "sid",
            json!(session.map_or("", |session| session.id.as_str())),
        ),
        ("name", json!(joined(claim("name")))),
    ] {
        claims.insert(name.to_owned(), value);
    }
    for (_, name) in &settings.claim_headers {
        let has = session.is_some_and(|session| session.has_claim(name));
        if has && !BASE.contains(&name.as_str()) {
            claims.insert(name.clone(), joined(claim(name)).into());
        }
    }
    claims
}

/// The value of a claim header: empty when there is no such claim, lists joined by commas.
pub(super) fn header_value(claims: &Map<String, Value>, name: &str) -> Vec<u8> {
    let value = match claims.get(name) {
        Some(Value::Array(list)) => joined(list),
        Some(single) => text(single).unwrap_or_default(),
        None => String::new(),
    };
    crate::header::clean(value.into_bytes())
}

fn joined(values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().filter_map(text).collect();
    texts.join(",")
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

/// A random UUID (RFC 9562 section 5.4).
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts
        .map(|part| digits.get(part).unwrap_or_default())
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_headers() {
        let claims = json!({
            "list": ["a", 5, 5.0, true, null, {"x": 1}, "b,c"],
            "evil": "a\r\nx-admin: yes",
            "float": 0.5,
            "empty": [],
        });
        let claims = claims.as_object().unwrap();
        for (name, value) in [
            ("list", "a,5,5,true,b,c"),
            ("evil", "ax-admin: yes"),
            ("float", "0.5"),
            ("empty", ""),
            ("missing", ""),
        ] {
            assert_eq!(header_value(claims, name), value.as_bytes(), "{name}");
        }
    }

    #[test]
    fn random_names() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
    }
}
