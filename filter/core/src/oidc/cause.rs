//! Describes for the log why a sign-in has failed: what was expected and what was received.
//!
//! The values come from a provider or from a browser. Each one is quoted, escaped and bounded, and nothing that may be a
//! secret is among them.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

use crate::config::EmailTrust;
use crate::http::log_line::quote;
use crate::oidc::call::ProviderReply;
use crate::oidc::claims::{Claims, ExpectedIdToken};
use crate::oidc::compact::Compact;
use crate::oidc::keys::KeySet;
use crate::oidc::metadata::resolve_issuer;
use crate::refusal::TokenProblem;

/// From how many characters on a word of a description is hidden when it has digits. Codes and tokens are longer; the
/// names of errors, such as Microsoft's `AADSTS7000215`, are shorter.
const SECRET_LENGTH: usize = 16;
/// The replacement for a word that may be a secret.
const HIDDEN: &str = "[hidden]";

/// An error that a provider reports (RFC 6749 sections 4.1.2.1 and 5.2).
#[derive(Clone, Copy)]
pub(crate) struct ReportedError<'a> {
    /// The code of the error (`error`).
    pub(crate) code: &'a str,
    /// Its description (`error_description`), empty without one.
    pub(crate) description: &'a str,
}

impl ReportedError<'_> {
    /// Describes the error. The strings in `secrets` were sent to the provider and do not appear.
    pub(crate) fn describe(self, secrets: &[&str]) -> String {
        let mut line = format!("error={}", quote(&hide_secrets(self.code, secrets)));
        if !self.description.is_empty() {
            let description = hide_secrets(self.description, secrets);
            let _ = write!(line, " description={}", quote(&description));
        }
        line
    }
}

/// Replaces the secrets that are known, and every long word with digits: a provider may repeat the code or the token that
/// it refuses.
fn hide_secrets(string: &str, secrets: &[&str]) -> String {
    let mut string = Cow::Borrowed(string);
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        if string.contains(secret) {
            string = Cow::Owned(string.replace(secret, HIDDEN));
        }
    }
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || "-._~+/=%".contains(letter);
    let mut shown = String::with_capacity(string.len());
    let mut rest = &*string;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|letter| is_word(letter) != is_word(first));
        let (run, after) = rest.split_at(end.unwrap_or(rest.len()));
        let has_digit = run.bytes().any(|byte| byte.is_ascii_digit());
        let is_hidden = is_word(first) && has_digit && run.len() >= SECRET_LENGTH;
        shown.push_str(if is_hidden { HIDDEN } else { run });
        rest = after;
    }
    shown
}

/// Describes a reply of the provider that could not be used. `what` names the endpoint; the strings in `secrets` were sent
/// to it.
pub(crate) fn describe_reply(what: &str, reply: &ProviderReply<'_>, secrets: &[&str]) -> String {
    if reply.status == 0 {
        return format!("{what} did not answer");
    }
    let mut line = format!("{what} answered status={}", reply.status);
    let answer = crate::json::parse(reply.body).unwrap_or_default();
    let string = |name: &str| answer.get(name).and_then(Value::as_str);
    if let Some(code) = string("error") {
        let description = string("error_description").unwrap_or_default();
        let error = ReportedError { code, description };
        let _ = write!(line, " {}", error.describe(secrets));
    } else if let Some(kind) = string("token_type") {
        let _ = write!(line, " token_type={}", quote(&hide_secrets(kind, secrets)));
    }
    line
}

/// Describes the issuer that was expected and the one that was received.
pub(crate) fn describe_issuer(expected: &str, received: Option<&str>) -> String {
    let received = received.map_or_else(|| "none".to_owned(), quote);
    format!("iss expected={} received={received}", quote(expected))
}

/// Describes what in an ID token caused `problem`; empty when there is nothing to add to the word of the problem.
pub(crate) fn describe_token(
    token: &str,
    keys: &KeySet,
    problem: TokenProblem,
    expected: &ExpectedIdToken<'_>,
) -> String {
    let Ok(parts) = Compact::read(token) else {
        return String::new();
    };
    let Ok(Value::Object(claims)) = crate::json::parse(&parts.payload) else {
        return String::new();
    };
    match problem {
        TokenProblem::UnknownKey | TokenProblem::TooManyKeys | TokenProblem::Signature => {
            describe_key(&parts, keys)
        }
        TokenProblem::AccessToken => format!("at_hash alg={}", quote(&parts.algorithm)),
        TokenProblem::Issuer => {
            let issuer = resolve_issuer(expected.issuer, &claims);
            let issuer = issuer.as_deref().unwrap_or(expected.issuer);
            let received = describe_claim(&claims, "iss");
            format!("iss expected={} received={received}", quote(issuer))
        }
        TokenProblem::Audience => format!(
            "expected={} received aud={} azp={}",
            quote(expected.client_id),
            describe_claim(&claims, "aud"),
            describe_claim(&claims, "azp"),
        ),
        TokenProblem::Expired => format!(
            "now={} received exp={}",
            expected.now.0,
            describe_claim(&claims, "exp"),
        ),
        TokenProblem::IssuedAt => format!(
            "now={} received iat={} nbf={}",
            expected.now.0,
            describe_claim(&claims, "iat"),
            describe_claim(&claims, "nbf"),
        ),
        TokenProblem::Malformed
        | TokenProblem::Nonce
        | TokenProblem::Subject
        | TokenProblem::Tenant => String::new(),
    }
}

/// Describes the key that a token names, and those that the provider has.
fn describe_key(token: &Compact, keys: &KeySet) -> String {
    let id = token.key_id.as_deref();
    let id = id.map_or_else(|| "none".to_owned(), quote);
    let algorithm = quote(&token.algorithm);
    format!(
        "received alg={algorithm} kid={id} expected={}",
        quote(&keys.describe_keys()),
    )
}

/// Describes the tenant of a user that `idp_allowed_tenants` does not list.
pub(crate) fn describe_tenant(claims: &Claims, trust: &EmailTrust) -> String {
    let Some(name) = trust.kind.tenant_claim() else {
        return String::new();
    };
    let expected = quote(&trust.tenants.join(" "));
    let received = describe_claim(claims, name);
    format!("{name} expected={expected} received={received}")
}

/// Returns the value of a claim as it is logged: strings and lists of strings as JSON, bounded.
fn describe_claim(claims: &Claims, name: &str) -> String {
    match claims.get(name) {
        None => "none".to_owned(),
        Some(Value::String(value)) => quote(value),
        Some(Value::Array(list)) => {
            let strings: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            quote(&strings.join(" "))
        }
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => "a value of another type".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(code: &str, description: &str) -> String {
        let error = ReportedError { code, description };
        error.describe(&["known-secret"])
    }

    #[test]
    fn an_error_of_the_provider() {
        assert_eq!(describe("invalid_scope", ""), r#"error="invalid_scope""#);
        assert_eq!(
            describe("invalid_client", "AADSTS7000215: \"Invalid\"\r\nsecret"),
            r#"error="invalid_client" description="AADSTS7000215: \"Invalid\"\r\nsecret""#
        );
    }

    #[test]
    fn a_description_is_bounded() {
        let shown = describe("x", &"\u{1b}".repeat(10_000));
        assert!(shown.ends_with("...") && shown.len() < 2000, "{shown}");
        assert!(!shown.contains('\u{1b}'));
    }

    #[test]
    fn a_description_has_no_secret() {
        let shown = describe(
            "known-secret",
            "code 4/0AbUR2VNkq7Y8x_y-Zz for known-secret (0123456789abcdef): bad",
        );
        assert_eq!(
            shown,
            r#"error="[hidden]" description="code [hidden] for [hidden] ([hidden]): bad""#
        );
    }

    #[test]
    fn replies() {
        let describe = |status, body: &str| {
            let body = body.as_bytes();
            let date = b"".as_slice();
            let reply = ProviderReply { status, body, date };
            describe_reply("the token endpoint", &reply, &[])
        };
        assert_eq!(describe(0, ""), "the token endpoint did not answer");
        for (status, body, expected) in [
            (503, "<html>", "status=503"),
            (
                401,
                r#"{"error":"invalid_client","error_description":"no"}"#,
                r#"status=401 error="invalid_client" description="no""#,
            ),
            (
                200,
                r#"{"token_type":"mac"}"#,
                r#"status=200 token_type="mac""#,
            ),
            (200, r#"{"error":["x"]}"#, "status=200"),
        ] {
            let line = format!("the token endpoint answered {expected}");
            assert_eq!(describe(status, body), line, "{body}");
        }
    }
}
