//! A signed token in compact form (RFC 7515 section 7.1), parsed and not verified yet.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::refusal::TokenProblem;

/// Longest token that is parsed. The token of a user with four hundred groups has a quarter of this.
pub const MAX_TOKEN: usize = 64 * 1024;

/// The header and the payload of a signed token, neither of which is verified.
#[derive(Debug)]
pub struct Compact {
    /// `alg`, which has to be the key's own algorithm.
    pub algorithm: String,
    /// `kid`, which is only compared with the ids of known keys.
    pub key_id: Option<String>,
    /// `typ` as it is written.
    typ: Option<String>,
    /// The decoded payload.
    pub payload: Vec<u8>,
}

impl Compact {
    /// Parses a token. It has three parts in exact base64url, no member twice in its header, and no `crit`, since no
    /// critical extension is supported (RFC 8725). Keys and addresses of keys in the header are ignored.
    ///
    /// # Errors
    /// Returns [`TokenProblem::Malformed`] for every other string.
    pub fn read(token: &str) -> Result<Self, TokenProblem> {
        Self::parse(token).ok_or(TokenProblem::Malformed)
    }

    fn parse(token: &str) -> Option<Self> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        // The same bytes have one encoding only: padding and unused bits that are set do not decode.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        decode(signature)?;
        let header = crate::json::parse(&decode(header)?).ok()?;
        let string = |name: &str| match header.get(name) {
            None => Some(None),
            Some(Value::String(string)) => Some(Some(string.clone())),
            Some(_) => None,
        };
        if header.get("crit").is_some() {
            return None;
        }
        Some(Self {
            algorithm: string("alg")??,
            key_id: string("kid")?,
            typ: string("typ")?,
            payload: decode(payload)?,
        })
    }

    /// Whether the token's `typ` is one of these (RFC 8725 section 3.11), in the short form that RFC 7515 section 4.1.9
    /// recommends.
    #[must_use]
    pub fn is_of_type(&self, types: &[&str]) -> bool {
        self.typ
            .as_deref()
            .is_some_and(|typ| types.iter().any(|known| known.eq_ignore_ascii_case(typ)))
    }

    /// Whether the token has no `typ`.
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
    fn the_same_bytes_have_one_encoding() {
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
