//! Environment variables that override keys of the file.

use serde_json::{Map, Value};

use crate::config::key::{Key, Kind, Support};
use crate::config::keys::GLOBAL;
use crate::diagnostics::{Findings, KeyPath, Warning};

/// Pomerium's variables whose names differ from those of their keys.
const OTHER_NAMES: [(&str, &str); 1] = [("set_response_headers", "HEADERS")];

/// Overrides keys of the file by the environment variables with the same names in upper case (`ADDRESS`,
/// `DOWNSTREAM_MTLS_CA_FILE`). Lists are separated by commas, and maps are JSON. An empty variable counts as absent.
///
/// `POLICY` is not read: it contains YAML, which the core does not parse.
pub fn override_by_variables(
    file: &mut Value,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Overridden {
    let mut overriding = Overriding {
        variable,
        findings: Findings::default(),
        keys: Vec::new(),
    };
    if let Value::Object(map) = file {
        override_map(map, &KeyPath::root(), (GLOBAL, ""), &mut overriding);
    }
    Overridden {
        keys: overriding.keys,
        warnings: overriding.findings.warnings,
    }
}

/// The effect of environment variables on a file.
#[derive(Debug, Default)]
pub struct Overridden {
    /// The path of each key that was overridden (`downstream_mtls.ca`), and the name of its variable.
    pub keys: Vec<(String, String)>,
    /// One warning for each variable that was used and is not a secret: a variable that is set by accident overrides the
    /// file.
    pub warnings: Vec<Warning>,
}

/// The state of overriding a file.
struct Overriding<'v> {
    variable: &'v dyn Fn(&str) -> Option<String>,
    findings: Findings,
    keys: Vec<(String, String)>,
}

/// Overrides the keys of a map. `prefix` begins the names of their variables.
fn override_map(
    map: &mut Map<String, Value>,
    key_path: &KeyPath,
    (table, prefix): (&'static [Key], &str),
    overriding: &mut Overriding<'_>,
) {
    for key in table {
        if !matches!(key.support, Support::Supported(_) | Support::Translated(..)) {
            continue;
        }
        let key_path = key_path.key(key.name);
        if let Kind::Map(table) = key.kind {
            override_below(map, &key_path, (key.name, table), overriding);
            continue;
        }
        if !is_overridable(key.kind) {
            continue;
        }
        let Some((name, text)) = find(key.name, prefix, overriding.variable) else {
            continue;
        };
        if !is_secret(key.name) {
            overriding
                .findings
                .warning(
                    &key_path,
                    format!("the environment variable `{name}` overrides `{}`", key.name),
                )
                .help("unset it if that is not intended");
        }
        overriding.keys.push((key_path.as_str().to_owned(), name));
        replace(map, key.name, Value::String(text));
    }
}

/// Overrides keys of a nested map, which the file need not have.
fn override_below(
    map: &mut Map<String, Value>,
    key_path: &KeyPath,
    (name, table): (&'static str, &'static [Key]),
    overriding: &mut Overriding<'_>,
) {
    let prefix = format!("{name}_");
    let written = map.keys().find(|key| key.eq_ignore_ascii_case(name));
    let written = written.cloned().unwrap_or_else(|| name.to_owned());
    match map.get_mut(&written) {
        Some(Value::Object(below)) => {
            override_map(below, key_path, (table, &prefix), overriding);
        }
        // Reading the file reports a value that is not a map.
        Some(other) if !other.is_null() => {}
        _ => {
            let mut below = Map::new();
            override_map(&mut below, key_path, (table, &prefix), overriding);
            if !below.is_empty() {
                map.insert(written, Value::Object(below));
            }
        }
    }
}

/// Returns the variable for a key, with its value.
fn find(
    key: &str,
    prefix: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<(String, String)> {
    let own = format!("{prefix}{key}").to_ascii_uppercase();
    let other = OTHER_NAMES
        .iter()
        .find(|(known, _)| prefix.is_empty() && *known == key)
        .map(|(_, name)| (*name).to_owned());
    std::iter::once(own).chain(other).find_map(|name| {
        let text = variable(&name).filter(|text| !text.is_empty())?;
        Some((name, text))
    })
}

/// Replaces a key, in any case, and its other form, with or without `_file`, by a value.
fn replace(map: &mut Map<String, Value>, key: &str, value: Value) {
    let other = match key.strip_suffix("_file") {
        Some(inline) => inline.to_owned(),
        None => format!("{key}_file"),
    };
    map.retain(|written, _| {
        !written.eq_ignore_ascii_case(key) && !written.eq_ignore_ascii_case(&other)
    });
    map.insert(key.to_owned(), value);
}

const fn is_overridable(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::String
            | Kind::Secret
            | Kind::File
            | Kind::Pem
            | Kind::Flag
            | Kind::Integer
            | Kind::Duration
            | Kind::Word(_)
            | Kind::StringList
            | Kind::StringMap
            | Kind::StringMapOrList
    )
}

/// Returns whether a key is a secret, for which a variable is the usual source.
fn is_secret(key: &str) -> bool {
    let inline = key.strip_suffix("_file").unwrap_or(key);
    crate::contract::SECRET_VARIABLES
        .iter()
        .any(|(known, _)| *known == inline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn overridden(mut file: Value, variables: &[(&str, &str)]) -> (Value, Vec<String>) {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        let warnings = override_by_variables(&mut file, &lookup).warnings;
        (file, warnings.into_iter().map(|w| w.path).collect())
    }

    #[test]
    fn variables_stand_in_the_places_of_keys() {
        let (file, warnings) = overridden(
            json!({"Address": ":1", "cookie_secret_file": "x", "routes": []}),
            &[
                ("ADDRESS", ":2"),
                ("COOKIE_SECRET", "s"),
                ("HEADERS", "{}"),
                ("IDP_SCOPES", "a,b"),
                ("POLICY", "cm91dGVz"),
                ("ROUTES", "x"),
                ("AUTOCERT", "true"),
                ("COOKIE_NAME", ""),
            ],
        );
        assert_eq!(
            file,
            json!({"address": ":2", "cookie_secret": "s", "set_response_headers": "{}", "idp_scopes": "a,b", "routes": []})
        );
        assert_eq!(warnings, ["address", "idp_scopes", "set_response_headers"]);
    }

    #[test]
    fn overridden_keys_are_named_with_their_variables() {
        let lookup = |name: &str| {
            let known = ["HEADERS", "COOKIE_SECRET", "DOWNSTREAM_MTLS_CA"];
            known.contains(&name).then(|| "x".to_owned())
        };
        let mut keys = override_by_variables(&mut json!({}), &lookup).keys;
        keys.sort_unstable();
        let expected = [
            ("cookie_secret", "COOKIE_SECRET"),
            ("downstream_mtls.ca", "DOWNSTREAM_MTLS_CA"),
            ("set_response_headers", "HEADERS"),
        ];
        assert_eq!(keys, expected.map(|(key, name)| (key.into(), name.into())));
    }

    #[test]
    fn objects_get_their_parts() {
        let variables = [
            ("DOWNSTREAM_MTLS_CA", "b"),
            ("DOWNSTREAM_MTLS_ENFORCEMENT", "policy"),
        ];
        let expected = json!({"ca": "b", "enforcement": "policy"});
        let (file, warnings) = overridden(json!({}), &variables);
        assert_eq!(file["downstream_mtls"], expected);
        assert_eq!(
            warnings,
            ["downstream_mtls.ca", "downstream_mtls.enforcement"]
        );
        let (file, _) = overridden(
            json!({"Downstream_MTLS": {"CA_file": "a", "Enforcement": "policy"}}),
            &variables,
        );
        assert_eq!(file["Downstream_MTLS"], expected);
        assert_eq!(
            overridden(json!({"downstream_mtls": 1}), &variables).0["downstream_mtls"],
            1
        );
        assert_eq!(overridden(json!([]), &variables).0, json!([]));
    }
}
