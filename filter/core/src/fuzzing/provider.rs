//! Responses of the provider.

use serde_json::Map;

use crate::oidc::call::ProviderReply;
use crate::oidc::github::{self, GithubResource};
use crate::oidc::keys::KeySet;
use crate::oidc::metadata::Discovered;
use crate::oidc::{clock, token};
use crate::testing::{Fixture, provider_settings};

/// Reads bytes as JSON and reads what the value prints. The second value may differ: a number that no integer holds may have another
/// last digit.
pub(super) fn json(bytes: &[u8]) {
    if let Ok(value) = crate::json::parse(bytes) {
        assert!(crate::json::parse(value.to_string().as_bytes()).is_ok());
    }
}

/// Reads bytes as a discovery document, whose endpoints are all on allowed origins.
pub(super) fn discovery(bytes: &[u8]) {
    let settings = provider_settings();
    let Ok(found) = Discovered::read(bytes, &settings) else {
        return;
    };
    for endpoint in [
        Some(&found.token_endpoint),
        Some(&found.jwks_uri),
        found.userinfo_endpoint.as_ref(),
    ] {
        assert!(endpoint.is_none_or(|endpoint| settings.origins().contains(&&endpoint.origin)));
    }
}

/// Reads bytes as a key set and finds keys in it.
pub(super) fn key_set(bytes: &[u8]) {
    let Ok(keys) = KeySet::read(bytes) else {
        return;
    };
    for algorithm in ["ES256", "RS256", "EdDSA", "none"] {
        let found = keys.candidates(algorithm, None).count();
        assert!(keys.candidates(algorithm, Some("k1")).count() <= found);
    }
}

/// Reads bytes as each kind of response to a call, and as the date of one.
pub(super) fn answer(bytes: &[u8]) {
    for status in [200, 400, 401] {
        let reply = ProviderReply {
            status,
            body: bytes,
            date: bytes,
        };
        let _ = token::read_tokens(&reply);
        let _ = github::read_tokens(&reply);
        for resource in [
            GithubResource::User,
            GithubResource::Emails,
            GithubResource::Organisations,
        ] {
            let _ = github::absorb(resource, &reply, &mut Map::new());
        }
        if let Some(skew) = clock::measure_skew(reply.date, Fixture::new().now) {
            assert!(!clock::describe_skew(skew).is_empty());
        }
    }
}
