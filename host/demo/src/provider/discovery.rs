//! The provider's metadata (OpenID Connect Discovery 1.0).

use serde_json::{Value, json};

use super::{Provider, authorize, end_session, key, token, userinfo};

/// Path of the metadata document.
pub(super) const PATH: &str = "/.well-known/openid-configuration";

impl Provider {
    /// Returns the metadata document.
    pub(super) fn metadata(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": self.issuer,
            "authorization_endpoint": at(authorize::PATH),
            "token_endpoint": at(token::PATH),
            "userinfo_endpoint": at(userinfo::PATH),
            "jwks_uri": at(key::PATH),
            "end_session_endpoint": at(end_session::PATH),
            "scopes_supported": ["openid", "email", "profile"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "email", "email_verified", "name", "groups"],
            "authorization_response_iss_parameter_supported": true,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
        })
    }
}
