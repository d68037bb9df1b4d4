//! The token endpoint: redeeming a code (RFC 6749 section 4.1.3) and a refresh token (section 6).

use serde_json::Value;
use url::form_urlencoded;

use crate::config::ProviderSettings;
use crate::env::Env;
use crate::limits::CALL_TIMEOUT_MS;
use crate::oidc::attempt::Attempt;
use crate::oidc::call::{ProviderCall, ProviderReply};
use crate::oidc::client_auth;
use crate::oidc::metadata::{Discovered, Endpoint};
use crate::refusal::SignInProblem;

/// Longest access token that is used for UserInfo.
const MAX_ACCESS_TOKEN: usize = 16 * 1024;

/// How long a sign-out waits for the provider to take back a refresh token, in milliseconds.
const REVOCATION_TIMEOUT_MS: u32 = 3_000;
/// Longest refresh token that is kept. The longest that are seen, Microsoft's, have about 1.5 KB.
const MAX_REFRESH_TOKEN: usize = 3 * 1024;

/// What a token endpoint answered.
pub struct Tokens {
    /// The ID token, not verified yet.
    pub id_token: String,
    /// The access token, for UserInfo.
    pub access_token: Option<String>,
    /// How to ask again.
    pub grant: Grant,
}

impl Tokens {
    /// The answer of a provider that gives no ID token.
    pub(crate) const fn without_id(access_token: String) -> Self {
        Self {
            id_token: String::new(),
            access_token: Some(access_token),
            grant: Grant {
                refresh_token: None,
                expires_in: None,
            },
        }
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

/// What a token endpoint answered to a refresh token.
pub struct RefreshAnswer {
    /// The ID token, not verified yet; many providers send none (OpenID Connect Core 1.0 section 12.2).
    pub id_token: Option<String>,
    /// The access token, for UserInfo.
    pub access_token: Option<String>,
    /// How to ask again. Without a refresh token the old one stays good.
    pub grant: Grant,
}

impl std::fmt::Debug for RefreshAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshAnswer(..)")
    }
}

/// How and when a token endpoint may be asked again.
#[derive(Default)]
pub struct Grant {
    /// The refresh token.
    pub refresh_token: Option<String>,
    /// For how many seconds the access token holds (`expires_in`).
    pub expires_in: Option<u64>,
}

/// Why a token endpoint gave nothing for a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRefreshed {
    /// The refresh token is not good, or not any more.
    Refused,
    /// There is no answer, or one that cannot be used.
    NoAnswer,
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

/// The call that makes a refresh token useless (RFC 7009 section 2.1); `None` where the provider does not offer that, or
/// without randomness. Somebody waits for it who only wants to leave.
#[must_use]
pub fn revoke(
    settings: &ProviderSettings,
    discovered: &Discovered,
    refresh_token: &str,
    env: &mut Env<'_>,
) -> Option<ProviderCall> {
    let endpoint = discovered.revocation_endpoint.as_ref()?;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", refresh_token)
        .append_pair("token_type_hint", "refresh_token");
    let mut call = ask(settings, discovered, endpoint, form, env)?;
    call.timeout_ms = REVOCATION_TIMEOUT_MS;
    Some(call)
}

/// The call that asks with a refresh token; `None` without randomness.
#[must_use]
pub fn refresh(
    settings: &ProviderSettings,
    discovered: &Discovered,
    refresh_token: &str,
    env: &mut Env<'_>,
) -> Option<ProviderCall> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", refresh_token);
    ask(settings, discovered, &discovered.token_endpoint, form, env)
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
/// [`SignInProblem::CodeRefused`] when the provider says so, [`SignInProblem::TokenType`] for tokens that are not used as
/// RFC 6750 says, otherwise [`SignInProblem::ProviderAnswer`].
pub fn read_answer(reply: &ProviderReply<'_>) -> Result<Tokens, SignInProblem> {
    let Some(body) = reply.success() else {
        return Err(if is_refused(reply) {
            SignInProblem::CodeRefused
        } else {
            SignInProblem::ProviderAnswer
        });
    };
    let answer = crate::json::parse(body).map_err(|_| SignInProblem::ProviderAnswer)?;
    if !is_bearer(&answer) {
        return Err(SignInProblem::TokenType);
    }
    Ok(Tokens {
        id_token: text(&answer, "id_token").ok_or(SignInProblem::ProviderAnswer)?,
        access_token: access_token(&answer),
        grant: Grant::read(&answer),
    })
}

/// Reads the token endpoint's answer to a refresh token.
///
/// # Errors
/// See [`NotRefreshed`].
pub fn read_refreshed(reply: &ProviderReply<'_>) -> Result<RefreshAnswer, NotRefreshed> {
    let Some(body) = reply.success() else {
        return Err(if is_refused(reply) {
            NotRefreshed::Refused
        } else {
            NotRefreshed::NoAnswer
        });
    };
    let answer = crate::json::parse(body).map_err(|_| NotRefreshed::NoAnswer)?;
    if !is_bearer(&answer) {
        return Err(NotRefreshed::NoAnswer);
    }
    let refreshed = RefreshAnswer {
        id_token: text(&answer, "id_token"),
        access_token: access_token(&answer),
        grant: Grant::read(&answer),
    };
    // An answer without any token answers nothing.
    if refreshed.id_token.is_none() && refreshed.access_token.is_none() {
        return Err(NotRefreshed::NoAnswer);
    }
    Ok(refreshed)
}

/// Whether an answer's tokens are bearer tokens, which no letter case changes (RFC 6749 section 5.1): a client must not
/// use a token of a type that it does not know (section 7.1). Some providers leave the type out.
pub(super) fn is_bearer(answer: &Value) -> bool {
    match answer.get("token_type") {
        None => true,
        Some(Value::String(kind)) => kind.eq_ignore_ascii_case("Bearer"),
        Some(_) => false,
    }
}

impl Grant {
    fn read(answer: &Value) -> Self {
        Self {
            refresh_token: token(answer, "refresh_token", MAX_REFRESH_TOKEN),
            expires_in: answer.get("expires_in").and_then(lifetime),
        }
    }
}

/// A number of seconds; some providers write it as a text.
fn lifetime(value: &Value) -> Option<u64> {
    match value {
        Value::String(digits) => digits.parse().ok(),
        other => other.as_u64(),
    }
}

fn text(answer: &Value, name: &str) -> Option<String> {
    answer.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// The access token, as it may stand in a header (RFC 6750 section 2.1).
pub(super) fn access_token(answer: &Value) -> Option<String> {
    token(answer, "access_token", MAX_ACCESS_TOKEN)
}

/// A token as it may stand in a header or a form.
fn token(answer: &Value, name: &str, longest: usize) -> Option<String> {
    text(answer, name).filter(|token| {
        token.len() <= longest
            && !token.is_empty()
            && token.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

fn is_refused(reply: &ProviderReply<'_>) -> bool {
    matches!(reply.status, 400 | 401 | 403) && error_word(reply.body) == Some(Refused::Grant)
}

#[derive(PartialEq, Eq)]
enum Refused {
    Grant,
    Other,
}

/// `invalid_grant` of RFC 6749, and `invalid_code` and `invalid_token` as Glewlwyd writes it.
fn error_word(body: &[u8]) -> Option<Refused> {
    let answer = crate::json::parse(body).ok()?;
    match answer.get("error").and_then(Value::as_str)? {
        "invalid_grant" | "invalid_code" | "invalid_token" => Some(Refused::Grant),
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
        for (kind, problem_then) in [
            (r#""Bearer""#, None),
            (r#""bearer""#, None),
            (r#""mac""#, Some(SignInProblem::TokenType)),
            (r#""DPoP""#, Some(SignInProblem::TokenType)),
            (r#"["Bearer"]"#, Some(SignInProblem::TokenType)),
            ("null", Some(SignInProblem::TokenType)),
        ] {
            let body = format!(r#"{{"id_token":"a.b.c","token_type":{kind}}}"#);
            assert_eq!(problem(200, &body), problem_then, "N-21: {kind}");
        }
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

    #[test]
    fn answers_to_a_refresh_token() {
        let read = |status: u16, body: &str| {
            read_refreshed(&ProviderReply {
                status,
                body: body.as_bytes(),
                date: &[],
            })
        };
        let told = r#"{"access_token":"a","refresh_token":"r2","expires_in":"300"}"#;
        let told = read(200, told).unwrap();
        assert_eq!(told.grant.refresh_token.as_deref(), Some("r2"));
        assert_eq!((told.grant.expires_in, told.id_token), (Some(300), None));
        let kept = read(200, r#"{"id_token":"a.b.c"}"#).unwrap().grant;
        assert_eq!((kept.refresh_token, kept.expires_in), (None, None));
        for (status, body, problem) in [
            (400, r#"{"error":"invalid_grant"}"#, NotRefreshed::Refused),
            (400, r#"{"error":"invalid_client"}"#, NotRefreshed::NoAnswer),
            (500, r#"{"error":"invalid_grant"}"#, NotRefreshed::NoAnswer),
            (200, r#"{"refresh_token":"r2"}"#, NotRefreshed::NoAnswer),
            (
                200,
                r#"{"access_token":"a","token_type":"mac"}"#,
                NotRefreshed::NoAnswer,
            ),
            (200, "<html>", NotRefreshed::NoAnswer),
            (0, "", NotRefreshed::NoAnswer),
        ] {
            assert_eq!(read(status, body).unwrap_err(), problem, "{status} {body}");
        }
    }
}
