//! Secrets that the configuration names by file (`cookie_secret_file`).

use std::path::Path;

use jetway_core::config::key::{Key, Kind};
use jetway_core::config::keys::visit;
use jetway_core::diagnostics::{Problem, Warning};
use jetway_proxy::{file, limits};
use serde_json::{Map, Value};

use super::exposure;
use super::value_at::value_at;

/// Keys that may stand with `_file` behind them instead, which the host reads: the module has no files.
const SECRETS: [&str; 5] = [
    "cookie_secret",
    "cookie_secret_previous",
    "idp_client_private_key",
    "idp_client_secret",
    "signing_key",
];

/// Replaces each `…_file` of a secret by the file's text without its last line break.
///
/// Returns the problems; adds warnings about files that others may read.
pub(super) fn resolve(value: &mut Value, warnings: &mut Vec<Warning>) -> Vec<Problem> {
    let Value::Object(keys) = value else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for key in SECRETS {
        let Some((written, name)) = take(keys, &format!("{key}_file")) else {
            continue;
        };
        let inline_too = keys.keys().any(|other| other.eq_ignore_ascii_case(key));
        match secret(key, &written, &name, inline_too, warnings) {
            Ok(text) => {
                keys.insert(key.to_owned(), Value::String(text));
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

/// Puts made-up values in the place of secrets, for those who ask what a configuration means and do not run it.
pub(super) fn make_up(value: &mut Value) {
    /// 32 bytes in base64, which is what `cookie_secret` takes.
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

/// Where a secret stands in the file itself, the first of them if there are several.
pub(super) fn inline(file: &Value) -> Option<String> {
    let mut found = None;
    visit(file, &mut |written| {
        // That of `certificates` may as well be a file's name.
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

/// Where the value of a key came from, when it may be a file's.
pub(super) fn file_key(path: &str) -> Option<String> {
    SECRETS.contains(&path).then(|| format!("{path}_file"))
}

/// Takes a key out, in whatever case it is written.
fn take(keys: &mut Map<String, Value>, key: &str) -> Option<(String, Value)> {
    let written = keys.keys().find(|other| other.eq_ignore_ascii_case(key));
    let written = written?.clone();
    let value = keys.remove(&written)?;
    (!value.is_null()).then_some((written, value))
}

fn secret(
    key: &str,
    written: &str,
    name: &Value,
    inline_too: bool,
    warnings: &mut Vec<Warning>,
) -> Result<String, Problem> {
    if inline_too {
        let message = format!("both `{key}` and `{key}_file` are given");
        return Err(Problem::new(written, message).help("keep one of them"));
    }
    let Some(name) = name.as_str().filter(|name| !name.is_empty()) else {
        let problem = Problem::new(written, format!("`{key}_file` takes the path of a file"));
        return Err(problem.help("write for example `/etc/jetway/secret`"));
    };
    let bytes =
        file::read_whole("secret", Path::new(name), limits::SECRET_FILE).map_err(|error| {
            Problem::new(written, error.to_string()).help(format!(
                "name a file that holds nothing but the secret, or write `{key}`"
            ))
        })?;
    warnings.extend(exposure::of_file(written, name));
    let text = String::from_utf8(bytes).map_err(|_| {
        Problem::new(written, format!("the secret `{name}` is not UTF-8"))
            .help("write it as text: `jetway keygen` does, in base64")
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        let problem = Problem::new(written, format!("the secret `{name}` is empty"));
        return Err(problem.help("write the secret into it, without anything else"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt as _;

    /// What becomes of a file with this content: the value, the problems and the warnings.
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
    fn the_text_replaces_the_name_without_its_line_break() {
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
    fn inline_secrets_are_found_wherever_they_stand() {
        let file = json!({"routes": [{"from": "a"}, {"tls_client_key": "x"}]});
        assert_eq!(inline(&file).as_deref(), Some("routes[1].tls_client_key"));
        assert_eq!(
            inline(&json!({"Cookie_Secret": "x"})).as_deref(),
            Some("Cookie_Secret")
        );
        let none = json!({"cookie_secret": null, "certificates": [{"key": "key.pem"}]});
        assert_eq!(inline(&none), None);
    }

    #[test]
    fn secrets_are_made_up_where_they_do_not_matter() {
        let mut value = json!({"Cookie_Secret_File": "/no/such/file", "signing_key": "x"});
        make_up(&mut value);
        assert_eq!(value["idp_client_secret"], "made up");
        assert_eq!(value.as_object().unwrap().len(), 2);
    }
}
