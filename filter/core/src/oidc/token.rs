//! Redeeming a code at the token endpoint (RFC 6749 section 4.1.3).

use serde_json::Value;
use url::form_urlencoded;

use super::CALL_TIMEOUT_MS;
use super::attempt::Attempt;
use super::client_auth;
use super::metadata::{Discovered, Endpoint};
use crate::config::ProviderSettings;
use crate::env::Env;
use crate::refusal::SignInProblem;
use crate::step::{ProviderCall, ProviderReply};

/// Longest access token that is used for UserInfo.
const MAX_ACCESS_TOKEN: usize = 16 * 1024;

/// What a token endpoint answered.
pub struct Tokens {
    /// The ID token, not verified yet.
    pub id_token: String,
    /// The access token, for UserInfo.
    pub access_token: Option<String>,
}

impl Tokens {
    /// The answer of a provider that gives no ID token.
    pub(crate) const fn without_id(access_token: String) -> Self {
        Self {
            id_token: String::new(),
            access_token: Some(access_token),
        }
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

/// The call that redeems `code`; `None` without randomness.
#[must_use]
pub fn redeem(
    settings: &ProviderSettings,
    discovered: &Discovered,
    attempt: &Attempt,
    code: &str,
    redirect_uri: &str,
    env: &mut Env<'_>,
) -> Option<ProviderCall> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("code_verifier", &attempt.verifier());
    ask(settings, discovered, &discovered.token_endpoint, form, env)
}

/// A call with a form by which this proxy proves who it is; `None` without randomness.
pub(super) fn ask(
    settings: &ProviderSettings,
    discovered: &Discovered,
    endpoint: &Endpoint,
    mut form: form_urlencoded::Serializer<'static, String>,
    env: &mut Env<'_>,
) -> Option<ProviderCall> {
    let mut headers = vec![
        (
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        ),
        ("accept", "application/json".to_owned()),
    ];
    let authorization = client_auth::prove(settings, discovered, &mut form, env)?;
    headers.extend(authorization.map(|value| ("authorization", value)));
    Some(call("POST", endpoint, headers, form.finish()))
}

/// The call that asks UserInfo (OpenID Connect Core 1.0 section 5.3.1).
#[must_use]
pub fn ask_userinfo(endpoint: &Endpoint, access_token: &str) -> ProviderCall {
    let headers = vec![
        ("authorization", format!("Bearer {access_token}")),
        ("accept", "application/json".to_owned()),
    ];
    call("GET", endpoint, headers, String::new())
}

/// A plain `GET`, for discovery and keys.
#[must_use]
pub fn fetch(endpoint: &Endpoint) -> ProviderCall {
    call(
        "GET",
        endpoint,
        vec![("accept", "application/json".to_owned())],
        String::new(),
    )
}

pub(super) fn call(
    method: &'static str,
    endpoint: &Endpoint,
    headers: Vec<(&'static str, String)>,
    body: String,
) -> ProviderCall {
    ProviderCall {
        upstream: endpoint.origin.to_string(),
        method,
        authority: endpoint.origin.authority(),
        path: endpoint.path.clone(),
        headers,
        body,
        timeout_ms: CALL_TIMEOUT_MS,
    }
}

/// Reads the token endpoint's answer.
///
/// # Errors
/// [`SignInProblem::CodeRefused`] when the provider says so, otherwise [`SignInProblem::ProviderAnswer`].
pub fn read_answer(reply: &ProviderReply<'_>) -> Result<Tokens, SignInProblem> {
    let Some(body) = reply.success() else {
        let refused = matches!(reply.status, 400 | 401 | 403)
            && error_word(reply.body) == Some(Refused::Grant);
        return Err(if refused {
            SignInProblem::CodeRefused
        } else {
            SignInProblem::ProviderAnswer
        });
    };
    let answer = crate::json::parse(body).map_err(|_| SignInProblem::ProviderAnswer)?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    let access_token = text("access_token").filter(|token| is_token(token));
    Ok(Tokens {
        id_token: text("id_token").ok_or(SignInProblem::ProviderAnswer)?,
        access_token,
    })
}

/// Whether a text can be an access token that is sent in a header (RFC 6750 section 2.1).
pub(super) fn is_token(text: &str) -> bool {
    text.len() <= MAX_ACCESS_TOKEN
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[derive(PartialEq, Eq)]
enum Refused {
    Grant,
    Other,
}

/// `invalid_grant` of RFC 6749, and `invalid_code` as Glewlwyd writes it.
fn error_word(body: &[u8]) -> Option<Refused> {
    let answer = crate::json::parse(body).ok()?;
    match answer.get("error").and_then(Value::as_str)? {
        "invalid_grant" | "invalid_code" => Some(Refused::Grant),
        _ => Some(Refused::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, body: &str) -> Option<SignInProblem> {
        read_answer(&ProviderReply {
            status,
            body: body.as_bytes(),
            date: &[],
        })
        .err()
    }

    #[test]
    fn answers() {
        assert_eq!(
            problem(200, r#"{"id_token":"a.b.c","access_token":"x"}"#),
            None
        );
        assert_eq!(
            problem(400, r#"{"error":"invalid_grant"}"#),
            Some(SignInProblem::CodeRefused)
        );
        assert_eq!(
            problem(403, r#"{"error":"invalid_code"}"#),
            Some(SignInProblem::CodeRefused)
        );
        assert_eq!(
            problem(401, r#"{"error":"invalid_client"}"#),
            Some(SignInProblem::ProviderAnswer)
        );
        for (status, body) in [
            (200, "{}"),
            (200, "<html>"),
            (200, "[]"),
            (302, ""),
            (503, "no"),
            (0, ""),
        ] {
            assert_eq!(
                problem(status, body),
                Some(SignInProblem::ProviderAnswer),
                "{status} {body}"
            );
        }
        assert_eq!(
            problem(200, &"x".repeat(300 * 1024)),
            Some(SignInProblem::ProviderAnswer)
        );
    }
}
