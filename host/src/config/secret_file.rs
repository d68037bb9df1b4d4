//! Secrets that the configuration names by file (`cookie_secret_file`).

use std::path::Path;

use jetway_core::config::{Problem, Warning};
use jetway_core::contract::SECRET_VARIABLES;
use serde_json::Value;

use crate::file;
use crate::limits;

/// Replaces each `…_file` of a secret by the file's text without its last line break.
///
/// Returns the problems; adds warnings about files that others may read.
pub(super) fn resolve(value: &mut Value, warnings: &mut Vec<Warning>) -> Vec<Problem> {
    let Value::Object(keys) = value else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for (key, _) in SECRET_VARIABLES {
        let file_key = format!("{key}_file");
        // Keys are case-insensitive, as in Pomerium.
        let Some(written) = keys
            .keys()
            .find(|other| other.eq_ignore_ascii_case(&file_key))
            .cloned()
        else {
            continue;
        };
        let Some(name) = keys.remove(&written) else {
            continue;
        };
        let inline_too = keys.keys().any(|other| other.eq_ignore_ascii_case(key));
        match secret(&file_key, &name, inline_too, warnings) {
            Ok(text) => {
                keys.insert(key.to_owned(), Value::String(text));
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

/// Which secrets stand in the file itself.
pub(super) fn inline_secrets(value: &Value) -> impl Iterator<Item = &'static str> {
    let written = |key: &str| {
        value
            .as_object()
            .is_some_and(|keys| keys.keys().any(|other| other.eq_ignore_ascii_case(key)))
    };
    SECRET_VARIABLES
        .into_iter()
        .map(|(key, _)| key)
        .filter(move |key| written(key))
}

fn secret(
    key: &str,
    name: &Value,
    inline_too: bool,
    warnings: &mut Vec<Warning>,
) -> Result<String, Problem> {
    let inline = key.trim_end_matches("_file");
    if inline_too {
        return Err(
            Problem::new(key, format!("both `{inline}` and `{key}` are given"))
                .help("keep one of them"),
        );
    }
    let Some(path) = name.as_str() else {
        return Err(Problem::new(key, format!("`{key}` must be a path")));
    };
    let bytes = file::read("secret", Path::new(path), limits::SECRET_FILE)
        .map_err(|error| Problem::new(key, format!("{error:#}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Problem::new(key, format!("the secret `{path}` is not UTF-8")))?;
    if file::is_exposed(Path::new(path)) {
        let warning = Problem::new(
            key,
            format!("other users of this machine can read `{path}`"),
        );
        warnings.push(warning.help(format!("chmod 600 {path}")));
    }
    Ok(text
        .strip_suffix('\n')
        .map_or(text.as_str(), |line| {
            line.strip_suffix('\r').unwrap_or(line)
        })
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt as _;

    fn with_file<T>(name: &str, content: &str, mode: u32, test: impl FnOnce(&str) -> T) -> T {
        let path =
            std::env::temp_dir().join(format!("jetway-secret-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let result = test(path.to_str().unwrap());
        std::fs::remove_file(&path).unwrap();
        result
    }

    #[test]
    fn the_text_replaces_the_name_without_its_line_break() {
        with_file("text", "s3cret\n", 0o600, |path| {
            let mut value = json!({"Cookie_Secret_File": path});
            let mut warnings = Vec::new();
            assert_eq!(resolve(&mut value, &mut warnings), []);
            assert_eq!(value, json!({"cookie_secret": "s3cret"}));
            assert_eq!(warnings, []);
        });
    }

    #[test]
    fn a_file_that_others_can_read_is_warned_about() {
        with_file("mode", "s3cret", 0o644, |path| {
            let mut warnings = Vec::new();
            resolve(&mut json!({"idp_client_secret_file": path}), &mut warnings);
            assert_eq!(warnings.len(), 1);
            assert!(!warnings[0].to_string().contains("s3cret"));
        });
    }

    #[test]
    fn both_forms_or_no_file_are_problems() {
        let problems = resolve(
            &mut json!({"cookie_secret": "a", "cookie_secret_file": "b", "idp_client_secret_file": "/no/such/file"}),
            &mut Vec::new(),
        );
        let paths: Vec<&str> = problems
            .iter()
            .map(|problem| problem.path.as_str())
            .collect();
        assert_eq!(paths, ["cookie_secret_file", "idp_client_secret_file"]);
    }
}
