//! The userinfo endpoint (OpenID Connect Core section 5.3).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{Asked, Provider, reply};

/// Path of the endpoint.
pub(super) const PATH: &str = "/userinfo";

impl Provider {
    /// Answers with the claims that the access token's scopes allow.
    pub(super) fn userinfo(&self, asked: &Asked<'_>) -> Response<Bytes> {
        let access = bearer(asked).and_then(|token| self.access.find(token, asked.now));
        let Some(access) = access else {
            let mut answer = reply::error(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "the access token is unknown or has ended",
            );
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            answer
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
            return answer;
        };
        let mut claims = access.account.claims(&access.scopes);
        claims.insert("sub".into(), json!(access.account.subject));
        reply::json(StatusCode::OK, &Value::Object(claims))
    }
}

/// Returns the token of `Authorization: Bearer` (RFC 6750 section 2.1).
fn bearer<'a>(asked: &Asked<'a>) -> Option<&'a str> {
    let (scheme, token) = asked
        .headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
