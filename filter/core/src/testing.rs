//! Fixtures that unit tests of several modules share.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::Value;

use crate::config::{Config, ProviderSettings};
use crate::env::{Env, Random};
use crate::store::LocalShared;
use crate::time::Timestamp;

/// A virtual clock and a random source that repeats from run to run.
pub(crate) struct Fixture {
    pub(crate) now: Timestamp,
    random: Box<Random<'static>>,
    /// The data that the workers of a process share.
    pub(crate) shared: LocalShared,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let random = move |into: &mut [u8]| {
            for byte in into {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 56) as u8;
            }
            Ok(())
        };
        Self {
            now: Timestamp(1_800_000_000),
            random: Box::new(random),
            shared: LocalShared::default(),
        }
    }

    pub(crate) fn env(&mut self) -> Env<'_> {
        Env {
            now: self.now,
            random: &mut *self.random,
            shared: &self.shared,
        }
    }
}

/// A client's certificate for `laptop.corp.test` and `*.corp.test`, with an address, a URI and further names.
pub(crate) const CLIENT_CERTIFICATE: &str = include_str!("testing/client.pem");
/// Its fingerprint, by OpenSSL.
pub(crate) const CLIENT_FINGERPRINT: &str =
    "9df8bcc197cdc22e22dc2bd6106f736d1b8dcd3ca3b61ceb993596f8c1b22f77";

/// Returns the header in which a proxy states a certificate.
pub(crate) fn certificate_header(pem: &str) -> Vec<u8> {
    let encoded: String = url::form_urlencoded::byte_serialize(pem.as_bytes())
        .map(|part| part.replace('+', "%20"))
        .collect();
    format!("Hash=00;Cert=\"{encoded}\"").into_bytes()
}

/// The issuer of the provider in tests.
pub(crate) const ISSUER: &str = "https://op.test";
/// The client id of the proxy in tests.
pub(crate) const CLIENT: &str = "rp";

pub(crate) fn provider_settings() -> ProviderSettings {
    config(&serde_json::json!({})).provider.unwrap()
}

/// Returns a configuration with three routes, changed at its top level by `changes`.
pub(crate) fn config(changes: &Value) -> Config {
    let mut file = serde_json::json!({
        "address": ":8443",
        "idp_provider": "oidc",
        "idp_provider_url": ISSUER,
        "idp_client_id": CLIENT,
        "idp_client_secret": "the-client-secret",
        "cookie_secret": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "routes": [
            {"from": "https://app.test", "to": "http://a", "allow_websockets": true,
             "policy": {"allow": {"or": [{"email": "alice@corp.test"}, {"email": "bob@corp.test"}]}}},
            {"from": "https://b.test", "to": "http://b", "prefix": "/open",
             "policy": {"allow": {"or": [{"accept": true}]}}},
            {"from": "https://b.test", "to": "http://b",
             "policy": {"allow": {"or": [{"domain": "corp.test"}]}}},
        ],
    });
    for (key, value) in changes.as_object().unwrap() {
        file[key] = value.clone();
    }
    Config::read(&file, &|_| None).unwrap().config
}

/// The signing side of a provider.
pub(crate) struct FakeProvider {
    key: SigningKey,
    id: &'static str,
}

impl FakeProvider {
    pub(crate) fn new() -> Self {
        Self::with_key(1, "k1")
    }

    /// Creates a provider with another key, with the same key id or another one.
    pub(crate) fn with_key(seed: u8, id: &'static str) -> Self {
        Self {
            key: SigningKey::from_slice(&[seed; 32]).unwrap(),
            id,
        }
    }

    pub(crate) fn discovery(&self) -> String {
        serde_json::json!({
            "issuer": ISSUER,
            "authorization_endpoint": format!("{ISSUER}/authorize"),
            "token_endpoint": format!("{ISSUER}/token"),
            "jwks_uri": format!("{ISSUER}/jwks"),
            "userinfo_endpoint": format!("{ISSUER}/me"),
            "end_session_endpoint": format!("{ISSUER}/logout"),
            "revocation_endpoint": format!("{ISSUER}/revoke"),
            "authorization_response_iss_parameter_supported": true,
        })
        .to_string()
    }

    pub(crate) fn jwks(&self) -> String {
        let point = self.key.verifying_key().to_sec1_point(false);
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        let jwk = serde_json::json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
            "x": coordinate(x), "y": coordinate(y),
        });
        serde_json::json!({ "keys": [jwk] }).to_string()
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_text(&claims.to_string())
    }

    /// Signs any payload, so that tests can make tokens that a library would refuse to make.
    pub(crate) fn sign_text(&self, payload: &str) -> String {
        let header = serde_json::json!({"alg": "ES256", "typ": "JWT", "kid": self.id});
        self.sign_under(&header, payload)
    }

    /// Signs any payload with any header.
    pub(crate) fn sign_under(&self, header: &Value, payload: &str) -> String {
        let input = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature: Signature = self.key.sign(input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}
