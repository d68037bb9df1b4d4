//! The token endpoint: exchanges a code for an ID token (RFC 6749 section 4.1.3, RFC 7636 section 4.6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use jwt_simple::claims::Claims;
use jwt_simple::prelude::Duration;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::authorize::Grant;
use super::parameters::Parameters;
use super::{ACCESS_TOKEN_LIFETIME, Access, Asked, NoRandomness, Provider, reply};

/// Path of the endpoint.
pub(super) const PATH: &str = "/token";
/// Lifetime of an ID token, in seconds.
const ID_TOKEN_LIFETIME: u64 = 3600;

impl Provider {
    /// Answers a token request.
    pub(super) fn redeem(&mut self, asked: &Asked<'_>) -> Result<Response<Bytes>, NoRandomness> {
        if !is_form(asked) {
            return Ok(invalid("invalid_request", "the request has to be a form"));
        }
        let form = match Parameters::parse(asked.body) {
            Ok(form) => form,
            Err(error) => return Ok(invalid("invalid_request", &error.to_string())),
        };
        if !self.client.authenticates(asked.headers, &form) {
            return Ok(unknown_client());
        }
        if !form.is("grant_type", "authorization_code") {
            return Ok(invalid(
                "unsupported_grant_type",
                "only authorization_code is offered",
            ));
        }
        // The code is removed before the checks: it is used up by any attempt.
        let code = form.value("code").unwrap_or_default();
        let Some(grant) = self.grants.take(code, asked.now) else {
            return Ok(invalid(
                "invalid_grant",
                "the code is unknown, was used before or has ended",
            ));
        };
        if !form.is("redirect_uri", &grant.request.redirect_uri) {
            return Ok(invalid(
                "invalid_grant",
                "the code was sent to another redirect URI",
            ));
        }
        if !proves(
            form.value("code_verifier").unwrap_or_default(),
            &grant.request.code_challenge,
        ) {
            return Ok(invalid(
                "invalid_grant",
                "the code verifier does not fit the challenge",
            ));
        }
        self.issue(grant, asked.now)
    }

    fn issue(&mut self, grant: Grant, now: u64) -> Result<Response<Bytes>, NoRandomness> {
        let Some(id_token) = self.id_token(&grant, now) else {
            return Ok(reply::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "the ID token was not signed",
            ));
        };
        let scope = grant.request.scopes.join(" ");
        let access = Access {
            account: grant.account,
            scopes: grant.request.scopes,
        };
        let access_token = self.access.keep(access, now)?;
        Ok(reply::json(
            StatusCode::OK,
            &json!({
                "access_token": access_token,
                "token_type": "Bearer",
                "expires_in": ACCESS_TOKEN_LIFETIME,
                "id_token": id_token,
                "scope": scope,
            }),
        ))
    }

    fn id_token(&self, grant: &Grant, now: u64) -> Option<String> {
        let about = grant.account.claims(&grant.request.scopes);
        let mut claims = Claims::with_custom_claims(about, Duration::from_secs(ID_TOKEN_LIFETIME))
            .with_issuer(&self.issuer)
            .with_subject(grant.account.subject)
            .with_audience(self.client.id())
            .with_nonce(&grant.request.nonce);
        claims.issued_at = Some(Duration::from_secs(now));
        claims.expires_at = Some(Duration::from_secs(now.saturating_add(ID_TOKEN_LIFETIME)));
        claims.invalid_before = None;
        self.key.sign(claims)
    }
}

/// Returns whether the challenge was made from the verifier.
fn proves(verifier: &str, challenge: &str) -> bool {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == challenge
}

fn is_form(asked: &Asked<'_>) -> bool {
    let media_type = asked
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn invalid(code: &str, description: &str) -> Response<Bytes> {
    reply::error(StatusCode::BAD_REQUEST, code, description)
}

fn unknown_client() -> Response<Bytes> {
    let mut answer = reply::error(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "the client is unknown or its secret is wrong",
    );
    answer.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Basic realm=\"demo provider\""),
    );
    answer
}
