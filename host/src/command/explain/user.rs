//! The visitor of a question: who is signed in, with which claims.

use serde_json::{Map, Value};

/// Claims that are one text, whatever the text looks like.
const TEXTS: [&str; 2] = ["sub", "email"];

/// Reads `NAME=VALUE`. A value that is JSON is taken as that, but for `null`; anything else is a text.
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

/// Reads the address of `--as`.
pub(crate) fn read_email(text: &str) -> Result<String, String> {
    let parts = text.split_once('@');
    if parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty()) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` is not an address: write for example `alice@example.com`, or `--claim sub={text}` for somebody without one"
        ))
    }
}

/// The claims of a visitor with this address and these further claims; a claim that stands several times is a list.
///
/// `None` when nobody is signed in.
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
                return Err(format!("the claim `{name}` stands twice"));
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

/// The claims with what an address alone tells: `sub`, `email` and that the provider has verified it, unless they are
/// there already.
pub(crate) fn complete_claims(
    email: Option<&str>,
    mut claims: Map<String, Value>,
) -> Result<Option<Map<String, Value>>, String> {
    if let Some(email) = email {
        for name in TEXTS {
            claims
                .entry(name)
                .or_insert_with(|| Value::String(email.to_owned()));
        }
        claims.entry("email_verified").or_insert(Value::Bool(true));
    }
    if claims.is_empty() {
        return Ok(None);
    }
    match claims.get("sub") {
        Some(Value::String(subject)) if !subject.is_empty() => Ok(Some(claims)),
        Some(_) => Err("the claim `sub` must be a text, and not an empty one".to_owned()),
        None => Err(
            "nobody has these claims: say whose they are, by an address or by the claim `sub`"
                .to_owned(),
        ),
    }
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

    fn visitor(email: Option<&str>, written: &[&str]) -> Result<Value, String> {
        let written: Vec<_> = written
            .iter()
            .map(|text| read_claim(text).unwrap())
            .collect();
        build_claims(email, &written).map(|claims| claims.map_or(Value::Null, Value::Object))
    }

    #[test]
    fn values_are_json_or_text() {
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
    fn an_address_gives_subject_and_email() {
        assert_eq!(visitor(None, &[]), Ok(Value::Null));
        assert_eq!(
            visitor(Some("a@b.test"), &["name=A"]),
            Ok(
                json!({"sub": "a@b.test", "email": "a@b.test", "email_verified": true, "name": "A"})
            )
        );
        assert_eq!(
            visitor(Some("a@b.test"), &["sub=u1", "email_verified=false"]),
            Ok(json!({"sub": "u1", "email": "a@b.test", "email_verified": false}))
        );
        assert_eq!(visitor(None, &["sub=u1"]), Ok(json!({"sub": "u1"})));
    }

    #[test]
    fn repeated_claims_are_lists() {
        let claims = visitor(None, &["sub=u", "g=a", "g=[\"b\",\"c\"]", "g=1"]);
        assert_eq!(claims, Ok(json!({"sub": "u", "g": ["a", "b", "c", 1]})));
        assert!(visitor(None, &["sub=u", "sub=v"]).is_err());
    }

    #[test]
    fn claims_belong_to_somebody() {
        assert!(visitor(None, &["groups=a"]).unwrap_err().contains("`sub`"));
        assert!(visitor(None, &["sub="]).is_err());
    }

    #[test]
    fn addresses_have_an_at() {
        assert!(read_email("alice@example.com").is_ok());
        for text in ["alice", "@example.com", "alice@", ""] {
            assert!(read_email(text).is_err(), "{text}");
        }
    }
}
