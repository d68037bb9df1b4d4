//! The plugin's configuration and environment, made from the file and the configuration that was read from it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jetway_core::config::Config;
use jetway_core::config::key::{Key, Support, SupportedBy};
use jetway_core::config::keys::GLOBAL;
use jetway_core::contract::SECRET_VARIABLES;
use jetway_core::secret::Secret;
use serde_json::Value;

/// Returns the file without its secrets, and with the address of the listener.
///
/// # Errors
/// The file cannot be written as JSON.
pub(super) fn encode_configuration(mut file: Value, listening: &str) -> anyhow::Result<Vec<u8>> {
    const ADDRESS: &str = "address";
    if let Value::Object(keys) = &mut file {
        keys.retain(|key, _| {
            let mut secrets = SECRET_VARIABLES.iter().map(|(secret, _)| *secret);
            let is_replaced = key.eq_ignore_ascii_case(ADDRESS) || is_for_proxy_alone(key);
            !is_replaced && !secrets.any(|secret| key.eq_ignore_ascii_case(secret))
        });
        keys.insert(ADDRESS.to_owned(), listening.into());
    }
    Ok(serde_json::to_vec(&file)?)
}

/// Returns whether only the proxy supports a key, so that the plugin need not know its value, which may be a secret.
fn is_for_proxy_alone(key: &str) -> bool {
    let known = Key::find(GLOBAL, &key.to_ascii_lowercase());
    known.is_some_and(|key| key.support == Support::Supported(SupportedBy::HOST))
}

/// Returns the plugin's environment variables: the secrets of the configuration.
pub(super) fn read_variables(config: &Config) -> Vec<(String, Secret)> {
    let present = SECRET_VARIABLES
        .into_iter()
        .filter_map(|(key, variable)| Some((variable.to_owned(), find_secret(config, key)?)));
    present.collect()
}

fn find_secret(config: &Config, key: &str) -> Option<Secret> {
    let encode = |secret: &Secret| STANDARD.encode(secret.expose());
    let provider = config.provider.as_ref();
    match key {
        "cookie_secret" => {
            let secret = config.session.secret.as_ref()?;
            Some(Secret::new(encode(secret).into_bytes()))
        }
        "cookie_secret_previous" => {
            let secrets: Vec<String> = config.session.previous_secrets.iter().map(encode).collect();
            (!secrets.is_empty()).then(|| Secret::new(secrets.join(",").into_bytes()))
        }
        "idp_client_secret" => {
            let secret = provider.map(|provider| provider.client_secret.clone());
            secret.filter(|secret| !secret.is_empty())
        }
        "idp_client_private_key" => {
            provider.and_then(|provider| provider.client_private_key_text.clone())
        }
        "signing_key" => config.identity.signing_key_text.clone(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file() -> Value {
        json!({
            "idp_provider": "oidc",
            "idp_provider_url": "https://idp.example.com",
            "idp_client_id": "jetway",
            "idp_client_secret": "client-s3cret",
            "Cookie_Secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
            "insecure_server": true,
            "Metrics_Address": ":9902",
            "metrics_basic_auth": "cHJvbTpzM2NyZXQ=",
            "routes": [{"from": "https://a.example.com", "to": "http://127.0.0.1:1",
                "policy": [{"allow": {"or": [{"email": {"is": "alice@example.com"}}]}}]}],
        })
    }

    #[test]
    fn the_plugin_configuration_has_no_secret() {
        let text = String::from_utf8(encode_configuration(file(), ":8443").unwrap()).unwrap();
        assert!(text.contains("idp.example.com"));
        assert!(!text.contains("s3cret") && !text.contains("AQEB"), "{text}");
        assert!(!text.to_lowercase().contains("metrics"), "{text}");
    }

    #[test]
    fn the_plugin_gets_secrets_as_variables() {
        let config = Config::read(&file(), &|_| None).unwrap().config;
        let variables = read_variables(&config);
        let shown: Vec<(&str, &[u8])> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        let expected: [(&str, &[u8]); 2] = [
            (
                "COOKIE_SECRET",
                b"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
            ),
            ("IDP_CLIENT_SECRET", b"client-s3cret"),
        ];
        assert_eq!(shown, expected);
    }
}
