//! The operator's file as the plugin's configuration.

use serde_json::Value;

use crate::Error;
use crate::yaml::is_special;

/// Keys that hold a secret, or with `_file` behind them the path of one. Envoy's admin port shows a plugin's
/// configuration, and whoever may read the file could sign people in.
const SECRET_KEYS: [&str; 7] = [
    "cookie_secret",
    "idp_client_secret",
    "shared_secret",
    "signing_key",
    // Pomerium's own, without effect here but perhaps still in a file that comes from there.
    "autocert_eab_mac_key",
    "databroker_storage_connection_string",
    "metrics_basic_auth",
];

/// The file as JSON text, without secrets and without the paths of files that hold them (the module can read no files).
pub(crate) fn configuration(file: &Value) -> Result<String, Error> {
    if !file.is_object() {
        return Err(Error::NotAMap);
    }
    let mut file = file.clone();
    remove_secrets(&mut file);
    Ok(printable(&format!("{file:#}")))
}

/// Removes secret keys at every depth, so that one given for a single route is not forgotten.
fn remove_secrets(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !is_secret(key));
            map.values_mut().for_each(remove_secrets);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_secrets),
        _ => {}
    }
}

/// Keys count without regard to case, as when the file is read.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_KEYS.contains(&key.strip_suffix("_file").unwrap_or(&key))
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
        let file = serde_json::json!({
            "cookie_secret": "S3CRET", "cookie_secret_file": "/S3CRET", "idp_client_secret": "S3CRET", "idp_client_secret_file": "S3CRET",
            "shared_secret": "S3CRET", "shared_secret_file": "S3CRET", "signing_key": "S3CRET", "signing_key_file": "S3CRET",
            "databroker_storage_connection_string": "postgres://u:S3CRET@db", "metrics_basic_auth": "S3CRET", "autocert_eab_mac_key": "S3CRET",
            "Cookie_Secret": "S3CRET", "SIGNING_KEY_FILE": "S3CRET",
            "idp_client_id": "jetway", "cookie_name": "c",
            "routes": [{ "from": "https://a.example.com", "idp_client_secret": "S3CRET", "idp_client_id": "x" }],
        });
        let text = configuration(&file).unwrap();
        assert!(!text.contains("S3CRET"), "{text}");
        let expected = serde_json::json!({
            "idp_client_id": "jetway", "cookie_name": "c", "routes": [{ "from": "https://a.example.com", "idp_client_id": "x" }],
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
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
