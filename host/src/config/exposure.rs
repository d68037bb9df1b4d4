//! Secrets that others can read.

use std::collections::HashSet;
use std::path::Path;

use jetway_core::config::keys::visit;
use jetway_core::diagnostics::{Problem, Warning};
use jetway_proxy::file;
use serde_json::Value;

use super::value_at::value_at;

/// Keys that may name the file of a private key. `key` of `certificates` may also hold the key itself, which is no file.
const PRIVATE_KEYS: [&str; 3] = ["certificate_key_file", "key", "tls_client_key_file"];
/// Warnings about private keys: more say nothing new.
const MAX_WARNINGS: usize = 20;

/// A warning at `path` when others than its owner can read a file.
pub(super) fn of_file(path: &str, name: &str) -> Option<Warning> {
    let mode = file::exposure(Path::new(name))?;
    let message = format!(
        "{} of this machine can read `{name}` (mode {mode:04o})",
        readers(mode)
    );
    Some(Problem::new(path, message).help(remedy(name)))
}

/// A warning when secrets stand in a configuration file that others can read. `path` is the first secret's.
pub(super) fn of_secrets(path: &str, mode: u32, name: &str) -> Warning {
    let message = format!(
        "this secret stands in a file that {} of this machine can read (mode {mode:04o})",
        readers(mode)
    );
    let key = path.rsplit('.').next().unwrap_or(path);
    Problem::new(path, message).help(format!("{}, or use `{key}_file`", remedy(name)))
}

/// Warnings for the private keys that a file names, each once.
pub(super) fn of_private_keys(file: &Value) -> Vec<Warning> {
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

fn readers(mode: u32) -> &'static str {
    if mode & 0o004 != 0 {
        "all users"
    } else {
        "users of its group"
    }
}

fn remedy(name: &str) -> String {
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
            remedy("/etc/jetway/key.pem"),
            "run `chmod 600 /etc/jetway/key.pem`"
        );
        assert_eq!(remedy("it's"), r"run `chmod 600 -- 'it'\''s'`");
        assert_eq!(remedy("-f"), "run `chmod 600 -- '-f'`");
    }

    #[test]
    fn the_mode_says_who_can_read() {
        let warning = of_secrets("cookie_secret", 0o640, "a.yaml");
        assert!(warning.message.contains("users of its group"), "{warning}");
        assert!(warning.message.contains("(mode 0640)"), "{warning}");
        let warning = of_secrets("cookie_secret", 0o644, "a.yaml");
        assert!(warning.message.contains("all users"), "{warning}");
        assert!(warning.to_string().contains("`cookie_secret_file`"));
    }
}
