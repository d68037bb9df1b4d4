//! Reads the secrets that the configuration names by file (`cookie_secret_file`).

use std::path::Path;

use crate::file;
use jetway_core::config::key::{Key, Kind};
use jetway_core::config::keys::visit;
use jetway_core::diagnostics::{Problem, Warning};
use serde_json::{Map, Value};

use crate::file_permissions;
use crate::value_at::value_at;

/// Keys that also exist with the suffix `_file`, which the host reads: the module reads no files.
const SECRETS: [&str; 5] = [
    "cookie_secret",
    "cookie_secret_previous",
    "idp_client_private_key",
    "idp_client_secret",
    "signing_key",
];

/// Replaces each `…_file` of a secret by the file's content without its last line break.
///
/// Returns the problems; adds warnings about files that other users can read.
pub(crate) fn resolve(value: &mut Value, warnings: &mut Vec<Warning>) -> Vec<Problem> {
    let Value::Object(keys) = value else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for key in SECRETS {
        let Some((written, name)) = take(keys, &format!("{key}_file")) else {
            continue;
        };
        if keys.keys().any(|other| other.eq_ignore_ascii_case(key)) {
            let message = format!("both `{key}` and `{key}_file` are given");
            problems.push(Problem::new(written, message).help("keep one of them"));
            continue;
        }
        match read_secret(key, &written, &name, warnings) {
            Ok(text) => {
                keys.insert(key.to_owned(), Value::String(text));
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

/// Replaces secrets by made-up values, for commands that evaluate a configuration and do not run it.
pub(crate) fn make_up(value: &mut Value) {
    /// 32 bytes in base64, the form of a `cookie_secret`.
    const COOKIE_SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let Value::Object(keys) = value else {
        return;
    };
    for key in SECRETS {
        take(keys, key);
        take(keys, &format!("{key}_file"));
    }
    let made_up = |text: &str| Value::String(text.to_owned());
    keys.insert("cookie_secret".to_owned(), made_up(COOKIE_SECRET));
    keys.insert("idp_client_secret".to_owned(), made_up("made up"));
}

/// Returns the path of the first secret that is written in the file itself.
pub(crate) fn find_inline_secret(file: &Value) -> Option<String> {
    let mut found = None;
    visit(file, &mut |written| {
        // The `key` of `certificates` may be the name of a file.
        let is_secret = |key: &Key| matches!(key.kind, Kind::Secret) && key.name != "key";
        if found.is_none() && written.key.is_some_and(is_secret) {
            let value = value_at(file, written.path);
            found = value
                .filter(|value| !value.is_null())
                .map(|_| written.path.to_owned());
        }
    });
    found
}

/// Returns the `…_file` key from which the value of a key may have come.
pub(crate) fn file_key_of(path: &str) -> Option<String> {
    SECRETS.contains(&path).then(|| format!("{path}_file"))
}

/// Removes a key, whatever its case, and returns it as written with its value.
fn take(keys: &mut Map<String, Value>, key: &str) -> Option<(String, Value)> {
    let written = keys.keys().find(|other| other.eq_ignore_ascii_case(key));
    let written = written?.clone();
    let value = keys.remove(&written)?;
    (!value.is_null()).then_some((written, value))
}

fn read_secret(
    key: &str,
    written: &str,
    name: &Value,
    warnings: &mut Vec<Warning>,
) -> Result<String, Problem> {
    let Some(name) = name.as_str().filter(|name| !name.is_empty()) else {
        let problem = Problem::new(written, format!("`{key}_file` must be the path of a file"));
        return Err(problem.help("write for example `/etc/jetway/secret`"));
    };
    let bytes = file::read("secret", Path::new(name), file::MAX_SECRET_BYTES).map_err(|error| {
        Problem::new(written, error.to_string()).help(format!(
            "name a file that contains only the secret, or set `{key}`"
        ))
    })?;
    warnings.extend(file_permissions::of_file(written, name));
    let text = String::from_utf8(bytes).map_err(|_| {
        Problem::new(written, format!("the secret `{name}` is not UTF-8"))
            .help("write it as UTF-8: `jetway keygen` writes base64")
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        let problem = Problem::new(written, format!("the secret `{name}` is empty"));
        return Err(problem.help("write only the secret into the file"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt as _;

    /// Resolves a file with this content. Returns the value, the problems and the warnings.
    fn resolved(content: &[u8], mode: u32) -> (Value, Vec<Problem>, Vec<Warning>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut value = json!({"Cookie_Secret_File": path.to_str().unwrap()});
        let mut warnings = Vec::new();
        let problems = resolve(&mut value, &mut warnings);
        (value, problems, warnings)
    }

    #[test]
    fn the_content_replaces_the_name_without_its_line_break() {
        for content in ["s3cret\n", "s3cret\r\n", "s3cret"] {
            let (value, problems, warnings) = resolved(content.as_bytes(), 0o600);
            assert_eq!(value, json!({"cookie_secret": "s3cret"}));
            assert_eq!((problems, warnings), (vec![], vec![]));
        }
        assert_eq!(resolved(b"a\n\n", 0o600).0["cookie_secret"], "a\n");
    }

    #[test]
    fn a_file_that_others_can_read_is_warned_about() {
        let (_, problems, warnings) = resolved(b"s3cret", 0o644);
        assert_eq!(problems, []);
        assert_eq!(warnings.len(), 1);
        let warning = warnings[0].to_string();
        assert!(warning.contains("(mode 0644)"), "{warning}");
        assert!(warning.contains("chmod 600"), "{warning}");
        assert!(!warning.contains("s3cret"));
    }

    #[test]
    fn a_file_without_a_usable_secret_is_a_problem() {
        for (content, part) in [
            (b"".as_slice(), "is empty"),
            (b"\n", "is empty"),
            (b"\xFF\xFE", "not UTF-8"),
            (&vec![b'x'; 100_000], "larger than 64 KiB"),
        ] {
            let (_, problems, _) = resolved(content, 0o600);
            assert_eq!(problems.len(), 1);
            assert!(problems[0].message.contains(part), "{}", problems[0]);
            assert_eq!(problems[0].path, "Cookie_Secret_File");
        }
    }

    #[test]
    fn both_forms_or_no_file_are_problems() {
        let mut value = json!({
            "cookie_secret": "a", "cookie_secret_file": "b",
            "idp_client_secret_file": "/no/such/file",
            "signing_key_file": 7,
        });
        let problems = resolve(&mut value, &mut Vec::new());
        let paths: Vec<&str> = problems.iter().map(|problem| &*problem.path).collect();
        let expected = [
            "cookie_secret_file",
            "idp_client_secret_file",
            "signing_key_file",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn inline_secrets_are_found_at_any_depth() {
        let file = json!({"routes": [{"from": "a"}, {"tls_client_key": "x"}]});
        assert_eq!(
            find_inline_secret(&file).as_deref(),
            Some("routes[1].tls_client_key")
        );
        assert_eq!(
            find_inline_secret(&json!({"Cookie_Secret": "x"})).as_deref(),
            Some("Cookie_Secret")
        );
        let none = json!({"cookie_secret": null, "certificates": [{"key": "key.pem"}]});
        assert_eq!(find_inline_secret(&none), None);
    }

    #[test]
    fn secrets_are_made_up_where_they_do_not_matter() {
        let mut value = json!({"Cookie_Secret_File": "/no/such/file", "signing_key": "x"});
        make_up(&mut value);
        assert_eq!(value["idp_client_secret"], "made up");
        assert_eq!(value.as_object().unwrap().len(), 2);
    }
}
