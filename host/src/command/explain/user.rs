//! The user of a hypothetical request, by their claims.

use jetway_core::explain::Explanation;
use serde_json::{Map, Value};

/// Claims that are always one string, even if it looks like JSON.
const TEXTS: [&str; 2] = ["sub", "email"];

/// Subject of a user of whom only the address is known: an address does not determine the identity provider's identifier.
const UNKNOWN_SUBJECT: &str = "unknown `sub`";

/// Parses `NAME=VALUE`. A value that is JSON other than `null` is read as JSON; anything else is a string.
pub(crate) fn read_claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| {
            format!("`{text}` is not a claim: write `NAME=VALUE`, for example `groups=admins`")
        })?;
    let json = serde_json::from_str::<Value>(value)
        .ok()
        .filter(|value| !value.is_null() && !TEXTS.contains(&name));
    let value = json.unwrap_or_else(|| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}

/// Parses the address of `--as`.
pub(crate) fn read_email(text: &str) -> Result<String, String> {
    let parts = text.split_once('@');
    if parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty()) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` is not an email address: write for example `alice@example.com`, or `--claim sub={text}` for a user without one"
        ))
    }
}

/// Builds the claims of a user with this address and these further claims; a claim that is given several times becomes a
/// list.
///
/// Returns `None` for an anonymous request.
pub(crate) fn build_claims(
    email: Option<&str>,
    written: &[(String, Value)],
) -> Result<Option<Map<String, Value>>, String> {
    let mut claims = Map::new();
    for (name, value) in written {
        match claims.get_mut(name) {
            None => {
                claims.insert(name.clone(), value.clone());
            }
            Some(_) if TEXTS.contains(&name.as_str()) => {
                return Err(format!("duplicate claim `{name}`"));
            }
            Some(Value::Array(list)) => append_to(list, value),
            Some(single) => {
                let mut list = vec![single.take()];
                append_to(&mut list, value);
                *single = Value::Array(list);
            }
        }
    }
    complete_claims(email, claims)
}

/// Adds the claims that follow from an address, unless they are given: `email`, `email_verified` and an unknown `sub`.
pub(crate) fn complete_claims(
    email: Option<&str>,
    mut claims: Map<String, Value>,
) -> Result<Option<Map<String, Value>>, String> {
    if let Some(email) = email {
        for (name, value) in [("sub", UNKNOWN_SUBJECT), ("email", email)] {
            claims.entry(name).or_insert_with(|| value.into());
        }
        claims.entry("email_verified").or_insert(Value::Bool(true));
    }
    if claims.is_empty() {
        return Ok(None);
    }
    match claims.get("sub") {
        Some(Value::String(subject)) if !subject.is_empty() => Ok(Some(claims)),
        Some(_) => Err("the claim `sub` must be a string, and must not be empty".to_owned()),
        None => Err("these claims have no user: add an address or the claim `sub`".to_owned()),
    }
}

/// Returns whether the policy compares the user's identifier, and the claims do not have it.
///
/// `allowed_users` compares each of its values with the address too, so that an address alone is enough for it.
pub(crate) fn is_subject_needed(
    claims: Option<&Map<String, Value>>,
    explanation: &Explanation,
) -> bool {
    let subject = claims.and_then(|claims| claims.get("sub"));
    let criteria: Vec<&str> = explanation
        .allow
        .iter()
        .chain(&explanation.deny)
        .flat_map(|term| &term.criteria)
        .map(|criterion| criterion.criterion.as_str())
        .collect();
    let is_about_subject = |criterion: &&str| {
        let matcher = criterion.strip_prefix("user:");
        matcher.is_some_and(|matcher| !criteria.contains(&format!("email:{matcher}").as_str()))
    };
    subject.is_some_and(|subject| subject == UNKNOWN_SUBJECT)
        && criteria.iter().any(is_about_subject)
}

fn append_to(list: &mut Vec<Value>, value: &Value) {
    match value {
        Value::Array(items) => list.extend(items.iter().cloned()),
        single => list.push(single.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims_of(email: Option<&str>, written: &[&str]) -> Result<Value, String> {
        let written: Vec<_> = written
            .iter()
            .map(|text| read_claim(text).unwrap())
            .collect();
        build_claims(email, &written).map(|claims| claims.map_or(Value::Null, Value::Object))
    }

    #[test]
    fn values_are_json_or_strings() {
        for (text, expected) in [
            ("a=b", json!("b")),
            ("a=", json!("")),
            ("a=b=c", json!("b=c")),
            ("a=5", json!(5)),
            ("a=\"5\"", json!("5")),
            ("a=007", json!("007")),
            ("a=true", json!(true)),
            ("a=null", json!("null")),
            ("a=[1, \"x\"]", json!([1, "x"])),
            ("a={\"b\": 1}", json!({"b": 1})),
            ("a=[1", json!("[1")),
            ("sub=5", json!("5")),
            ("email=true", json!("true")),
        ] {
            assert_eq!(read_claim(text).unwrap().1, expected, "{text}");
        }
        assert!(read_claim("a").is_err());
        assert!(read_claim("=b").is_err());
    }

    #[test]
    fn an_address_gives_the_email_and_no_subject() {
        assert_eq!(claims_of(None, &[]), Ok(Value::Null));
        assert_eq!(
            claims_of(Some("a@b.test"), &["name=A"]),
            Ok(
                json!({"sub": UNKNOWN_SUBJECT, "email": "a@b.test", "email_verified": true, "name": "A"})
            )
        );
        assert_eq!(
            claims_of(Some("a@b.test"), &["sub=u1", "email_verified=false"]),
            Ok(json!({"sub": "u1", "email": "a@b.test", "email_verified": false}))
        );
        assert_eq!(claims_of(None, &["sub=u1"]), Ok(json!({"sub": "u1"})));
    }

    #[test]
    fn repeated_claims_are_lists() {
        let claims = claims_of(None, &["sub=u", "g=a", "g=[\"b\",\"c\"]", "g=1"]);
        assert_eq!(claims, Ok(json!({"sub": "u", "g": ["a", "b", "c", 1]})));
        assert!(claims_of(None, &["sub=u", "sub=v"]).is_err());
    }

    #[test]
    fn claims_need_a_user() {
        assert!(
            claims_of(None, &["groups=a"])
                .unwrap_err()
                .contains("`sub`")
        );
        assert!(claims_of(None, &["sub="]).is_err());
    }

    #[test]
    fn addresses_have_an_at() {
        assert!(read_email("alice@example.com").is_ok());
        for text in ["alice", "@example.com", "alice@", ""] {
            assert!(read_email(text).is_err(), "{text}");
        }
    }
}
