//! The claims of an assertion.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::config::{IdentitySettings, IssuerFormat};
use crate::hex::format_uuid;
use crate::http::header::comma_list;
use crate::session::Session;
use crate::session::assertion::{LIFETIME, Party, needed_claims};
use crate::time::Timestamp;

/// The claim that names incomplete claims; it is present only when there are any.
const INCOMPLETE: &str = "incomplete_claims";

/// Claims that the proxy itself states; `jwt_claims_headers` cannot replace them.
pub(super) const BASE: [&str; 13] = [
    "iss", "aud", "jti", "iat", "nbf", "exp", "sub", "user", "email", "groups", "sid", "name",
    INCOMPLETE,
];

/// The base claims that are about the assertion, not about the user.
pub(super) const OF_ITSELF: [&str; 6] = ["iss", "aud", "jti", "iat", "nbf", "exp"];

/// The parts from which an assertion is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct AssertionSource<'a> {
    /// The user's session.
    pub(super) session: &'a Session,
    /// The application that the assertion is for.
    pub(super) party: Party<'a>,
    /// Which claims applications get.
    pub(super) settings: &'a IdentitySettings,
}

impl AssertionSource<'_> {
    /// Returns the claims of an assertion; `id` is random.
    ///
    /// An email address is stated only if policies may rely on it, because upstreams do as well.
    pub(super) fn claims(&self, id: [u8; 16], now: Timestamp) -> Map<String, Value> {
        let mut claims = self.base_claims(id, now);
        let incomplete = self.incomplete();
        if !incomplete.is_empty() {
            claims.insert(INCOMPLETE.to_owned(), json!(incomplete));
        }
        let session = self.session;
        for (_, name) in &self.settings.claim_headers {
            if session.has_claim(name) && !BASE.contains(&name.as_str()) {
                claims.insert(name.clone(), join_values(session.claim(name)).into());
            }
        }
        claims
    }

    fn base_claims(&self, id: [u8; 16], now: Timestamp) -> Map<String, Value> {
        let (session, host) = (self.session, self.party.host);
        let issuer = match self.party.issuer_format {
            IssuerFormat::HostOnly => host.to_owned(),
            IssuerFormat::Uri => format!("https://{host}/"),
        };
        let groups = strings(session.claim(&self.settings.groups_claim));
        [
            ("iss", json!(issuer)),
            ("aud", json!(host)),
            ("jti", json!(format_uuid(id))),
            ("iat", json!(now.0)),
            ("nbf", json!(now.0)),
            ("exp", json!(now.plus(LIFETIME).0)),
            ("sub", json!(session.subject)),
            ("user", json!(session.subject)),
            ("email", json!(session.email().unwrap_or_default())),
            ("groups", json!(groups)),
            ("sid", json!(session.id)),
            // For people, not to be split: a comma in a name needs no escape in JSON.
            ("name", json!(strings(session.claim("name")).join(","))),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// Returns the names of claims of which the session could not keep all values, or that have values which cannot be written
    /// as a string: objects, and lists within a list.
    pub(super) fn incomplete(&self) -> BTreeSet<String> {
        let is_left_out = |value: &Value| !value.is_null() && value_as_string(value).is_none();
        let has_left_out = |name: &&str| self.session.claim(name).iter().any(is_left_out);
        let left_out = needed_claims(self.settings).filter(has_left_out);
        let groups = &self.settings.groups_claim;
        let trimmed = self.session.incomplete_claims();
        trimmed
            .chain(left_out)
            .map(|name| {
                let is_groups = name.eq_ignore_ascii_case(groups);
                if is_groups { "groups" } else { name }.to_owned()
            })
            .collect()
    }

    /// Returns the value of a claim header: empty without such a claim, several values as [`comma_list`] writes them. `claims`
    /// are those of the assertion.
    pub(super) fn header_value(&self, claims: &Map<String, Value>, name: &str) -> Vec<u8> {
        let values = if BASE.contains(&name) {
            match claims.get(name) {
                Some(Value::Array(list)) => list.as_slice(),
                Some(single) => std::slice::from_ref(single),
                None => &[],
            }
        } else {
            self.session.claim(name)
        };
        comma_list(strings(values).iter().map(String::as_str))
    }
}

/// Joins the values of a claim to one string with commas. Only `,` and `%` are escaped in a value, as in a claim header: the
/// string is JSON.
fn join_values(values: &[Value]) -> String {
    let escape = |value: String| value.replace('%', "%25").replace(',', "%2C");
    let escaped: Vec<String> = strings(values).into_iter().map(escape).collect();
    escaped.join(",")
}

fn strings(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(value_as_string).collect()
}

/// Returns a string, number or boolean as a string; `None` for any other value.
fn value_as_string(value: &Value) -> Option<String> {
    match value {
        Value::String(string) => Some(string.clone()),
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
    fn values_are_joined_to_one_string() {
        for (values, joined) in [
            (
                json!(["a", 5, 5.0, true, null, {"x": 1}, "b,c"]),
                "a,5,5,true,b%2Cc",
            ),
            (json!([0.5]), "0.5"),
            (json!(["100%", "\u{c5}"]), "100%25,\u{c5}"),
            (json!([]), ""),
        ] {
            assert_eq!(join_values(values.as_array().unwrap()), joined);
        }
    }

    /// As `docs/headers.md` says: a claim header escapes a comma, the claim `name` does not.
    #[test]
    fn a_comma_in_a_name_stays() {
        let identity = crate::session::Identity {
            subject: "s".to_owned(),
            email: None,
            email_verified: false,
            claims: [("name".to_owned(), vec![json!("Miller, Anna")])].into(),
        };
        let config = crate::testing::config(&json!({"jwt_claims_headers": {"x-name": "name"}}));
        let source = AssertionSource {
            session: &Session::new("id".to_owned(), identity, Timestamp(0), 100),
            party: Party {
                host: "app.test",
                issuer_format: IssuerFormat::HostOnly,
            },
            settings: &config.identity,
        };
        let claims = source.claims([0; 16], Timestamp(0));
        assert_eq!(claims["name"], "Miller, Anna");
        assert_eq!(source.header_value(&claims, "name"), b"Miller%2C Anna");
    }
}
