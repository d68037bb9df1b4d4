//! Selects the part of the operator's file that the module needs.

use jetway_core::config::key::{Key, Kind, Support};
use jetway_core::config::keys::GLOBAL;
use serde_json::{Map, Value};

use crate::Error;
use crate::yaml::is_special;

/// Keys that only proxies support, and without which the module could not read the rest: the id of a route depends on its
/// upstreams, and `downstream_mtls` has no meaning without its authorities.
const READ_ALONG: [&str; 3] = ["to", "ca", "ca_file"];

/// The listener's certificates, on which a response header depends by default (`strict-transport-security`).
const CERTIFICATES: [&str; 5] = [
    "certificate",
    "certificate_file",
    "certificate_key",
    "certificate_key_file",
    "certificates",
];

/// Renders the keys that the module supports as a JSON string without secrets.
///
/// Envoy's admin port shows a plugin's configuration, and its secrets could be used to forge sessions, so that the module gets
/// them from Envoy's environment. Keys of upstreams' certificates and unknown keys are left out as well.
///
/// `tls` says that the listener speaks TLS. Then the keys of its certificates are files, or no bootstrap is generated.
pub(crate) fn render_configuration(file: &Value, tls: bool) -> Result<String, Error> {
    let Value::Object(file) = file else {
        return Err(Error::NotAMap);
    };
    let mut needed = select_needed(file, GLOBAL);
    for (name, value) in file {
        let key = name.to_ascii_lowercase();
        if tls && CERTIFICATES.contains(&key.as_str()) {
            needed.insert(name.clone(), value.clone());
        }
    }
    Ok(escape_special(&format!("{:#}", Value::Object(needed))))
}

/// Whether the file has this secret, inline or as a file.
pub(crate) fn has_secret(file: &Value, secret: &str) -> bool {
    let is_secret = |key: &String| {
        let key = key.to_ascii_lowercase();
        key.strip_suffix("_file").unwrap_or(&key) == secret
    };
    file.as_object()
        .is_some_and(|keys| keys.keys().any(is_secret))
}

/// Selects the known keys of a map that the module supports or needs to read the others.
fn select_needed(map: &Map<String, Value>, table: &'static [Key]) -> Map<String, Value> {
    map.iter()
        .filter_map(|(name, value)| {
            let key = Key::find(table, &name.to_ascii_lowercase())?;
            is_needed(key).then(|| (name.clone(), select_below(value, key.kind)))
        })
        .collect()
}

fn is_needed(key: &Key) -> bool {
    match key.support {
        _ if matches!(key.kind, Kind::Secret) => false,
        Support::Supported(by) | Support::Translated(by, _) => {
            by.filter || READ_ALONG.contains(&key.name)
        }
        Support::Ignored(_) | Support::Refused(_) => false,
    }
}

/// Returns a value with only the needed keys of the maps in it.
fn select_below(value: &Value, kind: Kind) -> Value {
    match (kind, value) {
        (Kind::Map(table), Value::Object(map)) => Value::Object(select_needed(map, table)),
        (Kind::MapList(table), Value::Array(items)) => {
            let item = |item: &Value| match item {
                Value::Object(map) => Value::Object(select_needed(map, table)),
                other => other.clone(),
            };
            Value::Array(items.iter().map(item).collect())
        }
        _ => value.clone(),
    }
}

/// Escapes characters that JSON allows in strings and YAML does not allow in a literal block.
fn escape_special(json: &str) -> String {
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
    use jetway_core::contract::SECRET_VARIABLES;
    use serde_json::json;

    fn configured(file: &Value) -> Value {
        serde_json::from_str(&render_configuration(file, true).unwrap()).unwrap()
    }

    #[test]
    fn secrets_and_certificates_are_left_out() {
        let mut file = json!({
            "Cookie_Secret": "S3CRET", "SIGNING_KEY_FILE": "S3CRET", "shared_secret": "S3CRET", "metrics_basic_auth": "S3CRET",
            "autocert_eab_mac_key": "S3CRET", "databroker_storage_connection_string": "S3CRET", "cookie_secrett": "S3CRET",
            "downstream_mtls": { "ca": "authorities", "crl": "S3CRET", "enforcement": "policy" },
            "routes": [{ "tls_client_cert": "S3CRET", "tls_client_key": "S3CRET", "TLS_client_key_file": "S3CRET", "cookie_secret": "S3CRET" }],
        });
        for (secret, _) in SECRET_VARIABLES {
            file[secret] = "S3CRET".into();
            file[format!("{secret}_file")] = "S3CRET".into();
        }
        assert_eq!(
            configured(&file),
            json!({ "downstream_mtls": { "ca": "authorities", "enforcement": "policy" }, "routes": [{}] })
        );
    }

    #[test]
    fn certificates_of_the_listener_are_included_with_tls() {
        let file = json!({ "Insecure_Server": true, "certificate": "S3CRET", "certificate_key": "S3CRET", "certificates": [{ "key": "S3CRET" }] });
        let text = render_configuration(&file, false).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({ "Insecure_Server": true })
        );
        let file = json!({ "certificate": "a chain", "Certificate_Key_File": "/tls/key.pem", "certificates": [{ "cert": "/a", "key": "/b" }] });
        assert_eq!(configured(&file), file);
    }

    #[test]
    fn keys_that_the_module_supports_are_kept() {
        let file = json!({
            "Cookie_Name": "c", "idp_client_id": "jetway", "jwt_claims_headers": { "shared_secret": "email" },
            "POLICY": [{ "from": "https://old.example.com", "to": ["http://a", ["http://b"]] }],
            "routes": [{
                "from": "https://a.example.com", "redirect": { "host_redirect": "b" }, "set_request_headers": { "signing_key": "x" },
                "policy": [{ "allow": { "and": [{ "claim/cookie_secret": "x" }] } }],
                "rewrite_response_headers": [{ "header": "location", "prefix": "a", "value": "b" }],
            }],
        });
        assert_eq!(configured(&file), file);
        let strange = json!({ "routes": "no list", "downstream_mtls": ["no", "object"] });
        assert_eq!(configured(&strange), strange);
    }

    #[test]
    fn a_secret_is_found_in_any_spelling_and_as_a_file() {
        for key in ["cookie_secret", "Cookie_Secret", "COOKIE_SECRET_FILE"] {
            assert!(has_secret(&json!({ key: "x" }), "cookie_secret"), "{key}");
        }
        for key in ["cookie_name", "signing_key", "cookie_secret_file_file"] {
            assert!(!has_secret(&json!({ key: "x" }), "cookie_secret"), "{key}");
        }
    }

    #[test]
    fn unprintable_characters_are_escaped_without_a_change_of_meaning() {
        let file = json!({ "cookie_name": "a\u{85}b\u{2028}c\u{7f}\u{feff}d\n\té" });
        let text = render_configuration(&file, true).unwrap();
        assert!(!text.chars().any(|c| c != '\n' && is_special(c)));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), file);
    }

    #[test]
    fn a_file_that_is_not_a_map_is_refused() {
        assert_eq!(
            render_configuration(&json!(["routes"]), true),
            Err(Error::NotAMap)
        );
    }
}
