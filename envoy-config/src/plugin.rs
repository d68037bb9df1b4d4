//! The operator's file as the plugin's configuration.

use jetway_core::contract::SECRET_VARIABLES;
use serde_json::Value;

use crate::Error;
use crate::yaml::is_special;

/// Keys that hold a secret, beside those of [`SECRET_VARIABLES`]; with `_file` behind them, the path of one. They are
/// Pomerium's own, without effect here but perhaps still in a file that comes from there.
const OTHER_SECRETS: [&str; 8] = [
    "autocert_eab_mac_key",
    "databroker_storage_connection_string",
    "google_cloud_serverless_authentication_service_account",
    "kubernetes_service_account_token",
    "metrics_basic_auth",
    "metrics_certificate_key",
    "otel_exporter_otlp_headers",
    "shared_secret",
];

/// Keys of certificates with a private key, and with `_file` behind them their files: the module makes no connections.
const CERTIFICATES: [&str; 5] = [
    "certificate",
    "certificate_key",
    "certificates",
    "tls_client_cert",
    "tls_client_key",
];

/// Keys below which names are free: of headers, parameters and claims, of which one may be called like a secret.
const FREE_NAMES: [&str; 5] = [
    "allowed_idp_claims",
    "idp_request_params",
    "jwt_claims_headers",
    "set_request_headers",
    "set_response_headers",
];

/// The file as JSON text, without secrets and without the paths of files that hold them (the module can read no files).
/// Envoy's admin port shows a plugin's configuration, and whoever has a secret of it could sign people in.
pub(crate) fn configuration(file: &Value) -> Result<String, Error> {
    if !file.is_object() {
        return Err(Error::NotAMap);
    }
    let mut file = file.clone();
    remove_secrets(&mut file);
    Ok(printable(&format!("{file:#}")))
}

/// Whether the file has this secret: the key itself or its file, at the top.
pub(crate) fn has_secret(file: &Value, secret: &str) -> bool {
    file.as_object()
        .is_some_and(|keys| keys.keys().any(|key| is_one_of(key, &[secret])))
}

/// Removes secret keys at every depth, so that one given for a single route is not forgotten.
fn remove_secrets(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !is_secret(key));
            for (key, value) in map {
                if !is_one_of(key, &FREE_NAMES) {
                    remove_secrets(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(remove_secrets),
        _ => {}
    }
}

fn is_secret(key: &str) -> bool {
    let by_variable = SECRET_VARIABLES
        .iter()
        .any(|(secret, _)| is_one_of(key, &[*secret]));
    by_variable || is_one_of(key, &OTHER_SECRETS) || is_one_of(key, &CERTIFICATES)
}

/// Whether a key is one of these, or the file of one. Keys count without regard to case, as when the file is read.
fn is_one_of(key: &str, names: &[&str]) -> bool {
    let key = key.to_ascii_lowercase();
    names.contains(&key.strip_suffix("_file").unwrap_or(&key))
}

/// Escapes what JSON allows in text and YAML does not allow in a literal block.
fn printable(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_special(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_removed_everywhere_and_nothing_else_is() {
        let mut file = serde_json::json!({
            "Cookie_Secret": "S3CRET", "SIGNING_KEY_FILE": "S3CRET", "signing_key": "S3CRET",
            "certificate": "S3CRET", "certificate_key_file": "S3CRET", "certificates": [{ "cert": "/x", "key": "S3CRET" }],
            "idp_client_id": "jetway", "cookie_name": "c", "downstream_mtls": { "ca_file": "/ca.pem" },
            "routes": [{
                "from": "https://a.example.com", "idp_client_secret": "S3CRET", "idp_client_id": "x", "tls_custom_ca_file": "/ca.pem",
                "tls_client_cert": "S3CRET", "tls_client_key": "S3CRET", "TLS_client_key_file": "S3CRET",
                "set_request_headers": { "Shared_Secret": "of the upstream", "signing_key": "too" },
            }],
        });
        for (secret, _) in SECRET_VARIABLES {
            file[secret] = "S3CRET".into();
            file[format!("{secret}_file")] = "S3CRET".into();
        }
        for secret in OTHER_SECRETS {
            file[secret] = "S3CRET".into();
            file["routes"][0][secret] = "S3CRET".into();
        }
        let text = configuration(&file).unwrap();
        assert!(!text.contains("S3CRET"), "{text}");
        let expected = serde_json::json!({
            "idp_client_id": "jetway", "cookie_name": "c", "downstream_mtls": { "ca_file": "/ca.pem" },
            "routes": [{
                "from": "https://a.example.com", "idp_client_id": "x", "tls_custom_ca_file": "/ca.pem",
                "set_request_headers": { "Shared_Secret": "of the upstream", "signing_key": "too" },
            }],
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }

    #[test]
    fn a_secret_is_there_in_any_spelling_and_as_a_file() {
        for key in ["cookie_secret", "Cookie_Secret", "COOKIE_SECRET_FILE"] {
            assert!(has_secret(
                &serde_json::json!({ key: "x" }),
                "cookie_secret"
            ));
        }
        for key in ["cookie_name", "signing_key", "cookie_secret_file_file"] {
            assert!(!has_secret(
                &serde_json::json!({ key: "x" }),
                "cookie_secret"
            ));
        }
    }

    #[test]
    fn unprintable_text_is_escaped_and_means_the_same() {
        let file = serde_json::json!({ "name": "a\u{85}b\u{2028}c\u{7f}\u{feff}d\n\té" });
        let text = configuration(&file).unwrap();
        assert!(!text.chars().any(|c| c != '\n' && is_special(c)));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), file);
    }

    #[test]
    fn a_file_that_is_no_map_is_refused() {
        assert_eq!(
            configuration(&serde_json::json!(["routes"])),
            Err(Error::NotAMap)
        );
    }
}
