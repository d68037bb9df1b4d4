//! A signed token in compact form (RFC 7515 section 7.1), taken apart before anything in it is believed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::refusal::TokenProblem;

/// Longest token that is looked at. Somebody with four hundred groups needs a quarter of this.
pub const MAX_TOKEN: usize = 64 * 1024;

/// What a signed token says about itself, and what it says; neither is believed yet.
#[derive(Debug)]
pub struct Compact {
    /// `alg`: the key decides whether this is so.
    pub algorithm: String,
    /// `kid`: compared with the names of keys, never looked up anywhere else.
    pub key_id: Option<String>,
    /// `typ`, as it is written.
    typ: Option<String>,
    /// The signed bytes, decoded.
    pub payload: Vec<u8>,
}

impl Compact {
    /// Takes a token apart: three parts, exact base64url, no member of the header twice, and no `crit`, for nothing that
    /// could be critical is understood here (RFC 8725). Keys and addresses of keys in the header are not looked at.
    ///
    /// # Errors
    /// [`TokenProblem::Malformed`].
    pub fn read(token: &str) -> Result<Self, TokenProblem> {
        Self::take_apart(token).ok_or(TokenProblem::Malformed)
    }

    fn take_apart(token: &str) -> Option<Self> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        // One set of bytes has one spelling: padding and unused bits that are set do not decode.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        decode(signature)?;
        let header = crate::json::parse(&decode(header)?).ok()?;
        let text = |name: &str| match header.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.clone())),
            Some(_) => None,
        };
        if header.get("crit").is_some() {
            return None;
        }
        Some(Self {
            algorithm: text("alg")??,
            key_id: text("kid")?,
            typ: text("typ")?,
            payload: decode(payload)?,
        })
    }

    /// Whether the token says that it is of one of these kinds (RFC 8725 section 3.11), in the short form that RFC 7515
    /// section 4.1.9 asks for.
    #[must_use]
    pub fn is_of_type(&self, types: &[&str]) -> bool {
        self.typ
            .as_deref()
            .is_some_and(|typ| types.iter().any(|known| known.eq_ignore_ascii_case(typ)))
    }

    /// Whether the token does not say of what kind it is.
    #[must_use]
    pub const fn is_untyped(&self) -> bool {
        self.typ.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(header: &str) -> Option<Compact> {
        Compact::read(&format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(header))).ok()
    }

    #[test]
    fn headers() {
        let read = header(r#"{ "alg":"RS256", "kid":"k", "x5t":"A" }"#).unwrap();
        assert_eq!(
            (&*read.algorithm, read.key_id.as_deref(), &*read.payload),
            ("RS256", Some("k"), &b"{}"[..])
        );
        for refused in [
            r#"{"kid":"k"}"#,
            r#"{"alg":null}"#,
            r#"{"alg":0}"#,
            r#"{"alg":["RS256"]}"#,
            r#"{"alg":"RS256","kid":null}"#,
            r#"{"alg":"RS256","kid":1}"#,
            r#"{"alg":"RS256","typ":1}"#,
            r#"{"alg":"RS256","crit":null}"#,
            r#"{"alg":"RS256","x":1,"x":2}"#,
            r#""RS256""#,
            "",
        ] {
            assert!(header(refused).is_none(), "{refused}");
        }
    }

    #[test]
    fn types() {
        let of = |typ: &str| header(&format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#)).unwrap();
        for typ in ["JWT", "jwt"] {
            assert!(of(typ).is_of_type(&["JWT"]), "{typ}");
        }
        for typ in ["at+jwt", "logout+jwt", "", "application/jwt", "JWT "] {
            assert!(!of(typ).is_of_type(&["JWT"]), "{typ}");
        }
        assert!(header(r#"{"alg":"RS256"}"#).unwrap().is_untyped());
    }

    #[test]
    fn one_spelling_for_one_set_of_bytes() {
        let good = format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#));
        assert!(Compact::read(&good).is_ok());
        for bad in [
            format!("{good}="),
            format!("{good}B"),
            format!("{good}AB"),
            format!("{good} "),
            format!("{good}\n"),
            format!("{good}."),
            format!(".{good}"),
            good.replace("e30", "e31"),
            good.replace("e30", "e30="),
            good.replace("e30", "e+0"),
            "..".to_owned(),
            String::new(),
            "A".repeat(MAX_TOKEN + 1),
        ] {
            assert!(Compact::read(&bad).is_err(), "{bad:.60}");
        }
    }
}
