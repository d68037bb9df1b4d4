//! The token endpoint: redeeming a code (RFC 6749 section 4.1.3) and a refresh token (section 6).

use serde_json::Value;

use crate::config::ProviderSettings;
use crate::env::Env;
use crate::limits::CALL_TIMEOUT_MS;
use crate::oidc::attempt::Attempt;
use crate::oidc::call::{ProviderCall, ProviderReply};
use crate::oidc::client_auth::{FormFields, authenticate};
use crate::oidc::metadata::{Discovered, Endpoint};

/// Longest access token that is used for UserInfo.
const MAX_ACCESS_TOKEN: usize = 16 * 1024;

/// How long a sign-out waits until the provider has revoked a refresh token, in milliseconds.
const REVOCATION_TIMEOUT_MS: u32 = 3_000;
/// Longest refresh token that is kept. The longest in use, Microsoft's, have about 1.5 KB.
const MAX_REFRESH_TOKEN: usize = 3 * 1024;

/// The tokens in a token endpoint's answer.
#[derive(Default)]
pub struct Tokens {
    /// The ID token, not verified yet. Many providers send none for a refresh token (OpenID Connect Core 1.0 section
    /// 12.2).
    pub id_token: Option<String>,
    /// The access token, for UserInfo.
    pub access_token: Option<String>,
    /// The means of the next request.
    pub grant: Grant,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

/// The means of the next request to a token endpoint, and when it is due.
#[derive(Default)]
pub struct Grant {
    /// The refresh token. An answer to a refresh token without another one leaves the old one good.
    pub refresh_token: Option<String>,
    /// For how many seconds the access token holds (`expires_in`).
    pub expires_in: Option<u64>,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Grant(..)")
    }
}

/// Why a token endpoint gave no tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenEndpointProblem {
    /// The code or the refresh token is not valid, or not any more.
    Refused,
    /// The access token is of another type than `Bearer` (RFC 6750).
    TokenType,
    /// There is no answer, or one that cannot be used.
    NoAnswer,
}

/// This proxy as the provider's client (RFC 6749 section 1.1): builds the calls that need client authentication.
#[derive(Clone, Copy, Debug)]
pub struct OAuthClient<'a> {
    /// The operator's settings, with the client's credentials.
    pub settings: &'a ProviderSettings,
    /// The provider's endpoints.
    pub discovered: &'a Discovered,
}

/// A code that the provider's redirect brought, and what it was issued for.
#[derive(Clone, Copy)]
pub struct CodeGrant<'a> {
    /// The sign-in attempt.
    pub attempt: &'a Attempt,
    /// The code.
    pub code: &'a str,
    /// The redirect URI of the authorization request.
    pub redirect_uri: &'a str,
}

impl std::fmt::Debug for CodeGrant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeGrant")
            .field("attempt", self.attempt)
            .finish_non_exhaustive()
    }
}

impl OAuthClient<'_> {
    /// Builds the call that redeems a code. `None` without randomness.
    #[must_use]
    pub fn redeem(self, grant: &CodeGrant<'_>, env: &mut Env<'_>) -> Option<ProviderCall> {
        let mut form = FormFields::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", grant.code)
            .append_pair("redirect_uri", grant.redirect_uri)
            .append_pair("code_verifier", &grant.attempt.verifier());
        self.post(&self.discovered.token_endpoint, form, env)
    }

    /// Builds the call that redeems a refresh token. `None` without randomness.
    #[must_use]
    pub fn refresh(self, refresh_token: &str, env: &mut Env<'_>) -> Option<ProviderCall> {
        let mut form = FormFields::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", refresh_token);
        self.post(&self.discovered.token_endpoint, form, env)
    }

    /// Builds the call that revokes a refresh token (RFC 7009 section 2.1), with a short timeout, since the user is
    /// waiting to be signed out. `None` when the provider has no revocation endpoint, or without randomness.
    #[must_use]
    pub fn revoke(self, refresh_token: &str, env: &mut Env<'_>) -> Option<ProviderCall> {
        let endpoint = self.discovered.revocation_endpoint.as_ref()?;
        let mut form = FormFields::new(String::new());
        form.append_pair("token", refresh_token)
            .append_pair("token_type_hint", "refresh_token");
        let mut call = self.post(endpoint, form, env)?;
        call.timeout_ms = REVOCATION_TIMEOUT_MS;
        Some(call)
    }

    /// Builds a call with a form that authenticates the client. `None` without randomness.
    fn post(
        self,
        endpoint: &Endpoint,
        mut form: FormFields,
        env: &mut Env<'_>,
    ) -> Option<ProviderCall> {
        let mut headers = vec![
            (
                "content-type",
                "application/x-www-form-urlencoded".to_owned(),
            ),
            ("accept", "application/json".to_owned()),
        ];
        let authorization = authenticate(self, &mut form, env)?;
        headers.extend(authorization.map(|value| ("authorization", value)));
        Some(build_call("POST", endpoint, headers, form.finish()))
    }
}

/// Builds the call that asks UserInfo (OpenID Connect Core 1.0 section 5.3.1).
#[must_use]
pub fn ask_userinfo(endpoint: &Endpoint, access_token: &str) -> ProviderCall {
    let headers = vec![
        ("authorization", format!("Bearer {access_token}")),
        ("accept", "application/json".to_owned()),
    ];
    build_call("GET", endpoint, headers, String::new())
}

/// Builds a plain `GET` call, for discovery and keys.
#[must_use]
pub fn fetch(endpoint: &Endpoint) -> ProviderCall {
    let headers = vec![("accept", "application/json".to_owned())];
    build_call("GET", endpoint, headers, String::new())
}

pub(super) fn build_call(
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

/// Reads the token endpoint's answer to a code or a refresh token. It has at least one token.
///
/// # Errors
/// See [`TokenEndpointProblem`].
pub fn read_tokens(reply: &ProviderReply<'_>) -> Result<Tokens, TokenEndpointProblem> {
    let Some(body) = reply.success() else {
        return Err(if is_refused(reply) {
            TokenEndpointProblem::Refused
        } else {
            TokenEndpointProblem::NoAnswer
        });
    };
    let answer = crate::json::parse(body).map_err(|_| TokenEndpointProblem::NoAnswer)?;
    let tokens = read_members(&answer)?;
    if tokens.id_token.is_none() && tokens.access_token.is_none() {
        return Err(TokenEndpointProblem::NoAnswer);
    }
    Ok(tokens)
}

/// Reads the tokens of an answer, whichever there are.
pub(super) fn read_members(answer: &Value) -> Result<Tokens, TokenEndpointProblem> {
    if !is_bearer(answer) {
        return Err(TokenEndpointProblem::TokenType);
    }
    let id_token = answer.get("id_token").and_then(Value::as_str);
    Ok(Tokens {
        id_token: id_token.map(str::to_owned),
        access_token: read_token(answer, "access_token", MAX_ACCESS_TOKEN),
        grant: Grant {
            refresh_token: read_token(answer, "refresh_token", MAX_REFRESH_TOKEN),
            expires_in: answer.get("expires_in").and_then(read_lifetime),
        },
    })
}

/// Whether an answer's tokens are bearer tokens, in any letter case (RFC 6749 section 5.1). A client must not use a token
/// of a type that it does not know (section 7.1). Some providers leave the type out.
fn is_bearer(answer: &Value) -> bool {
    match answer.get("token_type") {
        None => true,
        Some(Value::String(kind)) => kind.eq_ignore_ascii_case("Bearer"),
        Some(_) => false,
    }
}

/// Reads a number of seconds. Some providers write it as a string.
fn read_lifetime(value: &Value) -> Option<u64> {
    match value {
        Value::String(digits) => digits.parse().ok(),
        other => other.as_u64(),
    }
}

/// Reads a token that may be sent in a header (RFC 6750 section 2.1) or a form.
fn read_token(answer: &Value, name: &str, longest: usize) -> Option<String> {
    let token = answer.get(name).and_then(Value::as_str)?;
    let is_fit = !token.is_empty()
        && token.len() <= longest
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_fit.then(|| token.to_owned())
}

/// Whether an answer says that the code or the refresh token is not valid: `invalid_grant` of RFC 6749 section 5.2, or
/// `invalid_code` and `invalid_token` as Glewlwyd writes it.
fn is_refused(reply: &ProviderReply<'_>) -> bool {
    if !matches!(reply.status, 400 | 401 | 403) {
        return false;
    }
    let answer = crate::json::parse(reply.body).ok();
    let error = answer
        .as_ref()
        .and_then(|answer| answer.get("error")?.as_str());
    matches!(
        error,
        Some("invalid_grant" | "invalid_code" | "invalid_token")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Result<Tokens, TokenEndpointProblem> {
        read_tokens(&ProviderReply {
            status,
            body: body.as_bytes(),
            date: &[],
        })
    }

    #[test]
    fn answers() {
        let refused = Some(TokenEndpointProblem::Refused);
        let no_answer = Some(TokenEndpointProblem::NoAnswer);
        for (status, body, problem) in [
            (200, r#"{"id_token":"a.b.c","access_token":"x"}"#, None),
            (200, r#"{"id_token":"a.b.c"}"#, None),
            (200, r#"{"access_token":"x"}"#, None),
            (200, r#"{"refresh_token":"r2"}"#, no_answer),
            (200, r#"{"access_token":"a b"}"#, no_answer),
            (400, r#"{"error":"invalid_grant"}"#, refused),
            (403, r#"{"error":"invalid_code"}"#, refused),
            (401, r#"{"error":"invalid_token"}"#, refused),
            (401, r#"{"error":"invalid_client"}"#, no_answer),
            (400, r#"{"error":"invalid_client"}"#, no_answer),
            (500, r#"{"error":"invalid_grant"}"#, no_answer),
            (200, "{}", no_answer),
            (200, "<html>", no_answer),
            (200, "[]", no_answer),
            (302, "", no_answer),
            (503, "no", no_answer),
            (0, "", no_answer),
            (200, &"x".repeat(300 * 1024), no_answer),
        ] {
            assert_eq!(read(status, body).err(), problem, "{status} {body:.60}");
        }
    }

    /// N-21: a token of another type is not used, neither at a sign-in nor at a refresh.
    #[test]
    fn n_21_only_bearer_tokens_are_used() {
        for (kind, is_used) in [
            (r#""Bearer""#, true),
            (r#""bearer""#, true),
            (r#""mac""#, false),
            (r#""DPoP""#, false),
            (r#"["Bearer"]"#, false),
            ("null", false),
        ] {
            for token in [r#""id_token":"a.b.c""#, r#""access_token":"a""#] {
                let body = format!(r#"{{{token},"token_type":{kind}}}"#);
                let problem = (!is_used).then_some(TokenEndpointProblem::TokenType);
                assert_eq!(read(200, &body).err(), problem, "N-21: {body}");
            }
        }
    }

    #[test]
    fn the_next_request() {
        let body = r#"{"access_token":"a","refresh_token":"r2","expires_in":"300"}"#;
        let tokens = read(200, body).unwrap();
        assert_eq!(tokens.grant.refresh_token.as_deref(), Some("r2"));
        assert_eq!(
            (tokens.grant.expires_in, tokens.id_token),
            (Some(300), None)
        );
        let kept = read(200, r#"{"id_token":"a.b.c"}"#).unwrap().grant;
        assert_eq!((kept.refresh_token, kept.expires_in), (None, None));
    }

    #[test]
    fn no_token_is_shown() {
        let body = r#"{"id_token":"secret","access_token":"secret","refresh_token":"secret"}"#;
        let tokens = read(200, body).unwrap();
        let shown = format!("{tokens:?} {:?}", tokens.grant);
        assert!(!shown.contains("secret"), "{shown}");
    }
}
