//! Warnings about secrets that other users can read.

use std::collections::HashSet;
use std::path::Path;

use crate::file;
use jetway_core::config::keys::visit;
use jetway_core::diagnostics::{Problem, Warning};
use serde_json::Value;

use crate::value_at::value_at;

/// Keys that may name the file of a private key. `key` of `certificates` may also contain the key itself instead.
const PRIVATE_KEYS: [&str; 3] = ["certificate_key_file", "key", "tls_client_key_file"];
/// Most warnings about private keys: more say nothing new.
const MAX_WARNINGS: usize = 20;

/// Returns a warning at `path` when users other than its owner can read a file.
pub(crate) fn of_file(path: &str, name: &str) -> Option<Warning> {
    let mode = file::exposed_mode(Path::new(name))?;
    let message = format!(
        "{} of this machine can read `{name}` (mode {mode:04o})",
        describe_readers(mode)
    );
    Some(Problem::new(path, message).help(suggest_chmod(name)))
}

/// Returns a warning about secrets in a configuration file that other users can read. `path` is the path of the first one.
pub(crate) fn of_secrets(path: &str, mode: u32, name: &str) -> Warning {
    let message = format!(
        "this secret is in a file that {} of this machine can read (mode {mode:04o})",
        describe_readers(mode)
    );
    let key = path.rsplit('.').next().unwrap_or(path);
    Problem::new(path, message).help(format!("{}, or use `{key}_file`", suggest_chmod(name)))
}

/// Returns warnings about the private key files that a configuration names, each once.
pub(crate) fn of_private_keys(file: &Value) -> Vec<Warning> {
    let mut names = HashSet::new();
    let mut warnings = Vec::new();
    visit(file, &mut |written| {
        let is_key = written
            .key
            .is_some_and(|key| PRIVATE_KEYS.contains(&key.name));
        if !is_key || warnings.len() >= MAX_WARNINGS {
            return;
        }
        let name = value_at(file, written.path).and_then(Value::as_str);
        if let Some(name) = name.filter(|name| names.insert(*name)) {
            warnings.extend(of_file(written.path, name));
        }
    });
    warnings
}

fn describe_readers(mode: u32) -> &'static str {
    if mode & 0o004 != 0 {
        "all users"
    } else {
        "users of its group"
    }
}

fn suggest_chmod(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%".contains(c);
    if name.chars().all(plain) && !name.starts_with('-') {
        format!("run `chmod 600 {name}`")
    } else {
        format!("run `chmod 600 -- '{}'`", name.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_run() {
        assert_eq!(
            suggest_chmod("/etc/jetway/key.pem"),
            "run `chmod 600 /etc/jetway/key.pem`"
        );
        assert_eq!(suggest_chmod("it's"), r"run `chmod 600 -- 'it'\''s'`");
        assert_eq!(suggest_chmod("-f"), "run `chmod 600 -- '-f'`");
    }

    #[test]
    fn the_mode_determines_the_readers() {
        let warning = of_secrets("cookie_secret", 0o640, "a.yaml");
        assert!(warning.message.contains("users of its group"), "{warning}");
        assert!(warning.message.contains("(mode 0640)"), "{warning}");
        let warning = of_secrets("cookie_secret", 0o644, "a.yaml");
        assert!(warning.message.contains("all users"), "{warning}");
        assert!(warning.to_string().contains("`cookie_secret_file`"));
    }
}
