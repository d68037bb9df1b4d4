//! Placeholders for environment variables, which other programs replace in their files.

use serde_json::Value;

use crate::config::key::{Key, Kind, Support};
use crate::config::keys::visit;
use crate::diagnostics::{Findings, KeyPath};

const HELP: &str = "write the value, or let a program such as `envsubst` replace placeholders before Jetway reads the file; secrets may come from a key that ends with `_file`, or from the environment variable with the key's name in upper case; in `set_request_headers`, `$$` is a dollar sign";

/// Reports each string with a placeholder, instead of what else was found there: Jetway would use it as it is written.
pub(super) fn refuse_placeholders(file: &Value, findings: &mut Findings) {
    // Almost no file has one, and the paths of all keys cost more than this search.
    if !has_placeholder(file) {
        return;
    }
    visit(file, &mut |written| {
        let Some(key) = written.key.filter(|key| is_searched(key)) else {
            return;
        };
        refuse_below(written.value, &KeyPath::of(written.path), key, findings);
    });
}

/// Returns whether a placeholder in the key's value is a mistake. The body of a fixed response may be a script.
const fn is_searched(key: &Key) -> bool {
    let has_effect = matches!(key.support, Support::Supported(_) | Support::Translated(..));
    let is_nested = matches!(key.kind, Kind::Map(_) | Kind::MapList(_));
    has_effect && !is_nested && !key.name.eq_ignore_ascii_case("body")
}

fn has_placeholder(value: &Value) -> bool {
    match value {
        Value::String(string) => find_placeholder(string).is_some(),
        Value::Array(list) => list.iter().any(has_placeholder),
        Value::Object(map) => map.values().any(has_placeholder),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn refuse_below(value: &Value, key_path: &KeyPath, key: &Key, findings: &mut Findings) {
    match value {
        Value::String(string) => refuse_string(string, key_path, key, findings),
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                refuse_below(item, &key_path.item(index), key, findings);
            }
        }
        Value::Object(map) => {
            for (name, value) in map {
                refuse_below(value, &key_path.key(name), key, findings);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn refuse_string(string: &str, key_path: &KeyPath, key: &Key, findings: &mut Findings) {
    let Some(placeholder) = find_placeholder(string) else {
        return;
    };
    // A dollar sign within a secret is one of its characters, and a secret is not repeated.
    let is_secret = matches!(key.kind, Kind::Secret);
    if is_secret && placeholder != string {
        return;
    }
    let message = if is_secret {
        "the value is a placeholder, which Jetway does not replace".to_owned()
    } else {
        format!(
            "`{}` is a placeholder, which Jetway does not replace",
            without_default(placeholder)
        )
    };
    // A name alone may be meant as it is written, such as `/$RECYCLE.BIN/`.
    if placeholder.starts_with("${") || is_secret {
        findings.remove(key_path);
        findings.problem(key_path, message).help(HELP);
    } else {
        findings.warning(key_path, message).help(HELP);
    }
}

/// Returns a placeholder without its default value, which may be a secret.
fn without_default(placeholder: &str) -> String {
    let name = placeholder.split([':', '-', '?', '+', '=']).next();
    let name = name.unwrap_or_default();
    if placeholder.starts_with("${") && !name.ends_with('}') {
        format!("{name}}}")
    } else {
        name.to_owned()
    }
}

/// Returns the first placeholder of a string: `${NAME}`, `${NAME:-default}` or `$NAME` in capitals. `$$` is a dollar sign,
/// and `${pomerium.jwt}` is a reference.
fn find_placeholder(string: &str) -> Option<&str> {
    let mut rest = string;
    while let Some((_, after)) = rest.split_once('$') {
        if let Some(escaped) = after.strip_prefix('$') {
            rest = escaped;
            continue;
        }
        let length = match after.strip_prefix('{') {
            Some(inner) => braced_length(inner).map(|length| length.saturating_add(1)),
            None => {
                let begin = string.len().checked_sub(after.len())?.checked_sub(1)?;
                let before = string.get(..begin)?;
                let continues = before.ends_with(|c: char| c.is_ascii_alphanumeric());
                bare_length(after).filter(|_| !continues)
            }
        };
        if let Some(length) = length {
            let begin = string.len().checked_sub(after.len())?.checked_sub(1)?;
            return string.get(begin..)?.get(..length.saturating_add(1));
        }
        rest = after;
    }
    None
}

/// Returns the length of `NAME}` or `NAME:-default}`.
fn braced_length(inner: &str) -> Option<usize> {
    let end = inner.find('}')?;
    let (name, default) = inner.get(..end)?.split_at(name_length(inner));
    let has_default = [":", "-", "?", "+", "="]
        .iter()
        .any(|sign| default.starts_with(sign));
    let is_placeholder = !name.is_empty() && (default.is_empty() || has_default);
    is_placeholder.then_some(end.saturating_add(1))
}

/// Returns the length of `NAME` in capitals, of at least two characters.
fn bare_length(after: &str) -> Option<usize> {
    let length = name_length(after);
    let mut name = after.bytes().take(length);
    let is_upper = !name.any(|byte| byte.is_ascii_lowercase());
    (length >= 2 && is_upper).then_some(length)
}

/// Returns the length of the name of a variable at the beginning.
fn name_length(string: &str) -> usize {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if string.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    string.bytes().take_while(|byte| is_name(*byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found() {
        for (string, found) in [
            ("https://app.${DOMAIN}/x", Some("${DOMAIN}")),
            ("${domain}", Some("${domain}")),
            ("a${HOST:-b}", Some("${HOST:-b}")),
            ("http://$HOST:80", Some("$HOST")),
            ("$MAIL_1", Some("$MAIL_1")),
            ("$$x $DOMAIN", Some("$DOMAIN")),
            ("é$HOST", Some("$HOST")),
        ] {
            assert_eq!(find_placeholder(string), found, "{string}");
        }
    }

    #[test]
    fn other_dollar_signs_are_left_alone() {
        for string in [
            "",
            "$",
            "a$",
            "(a$|b$)",
            "^/x$",
            "$$HOST",
            "$$${",
            "${",
            "${}",
            "${1}$1",
            "${oops",
            "$A",
            "$metadata",
            "${pomerium.jwt}",
            "${ pomerium.jwt }",
            "$pomerium.jwt",
            "${pomerium[\"jwt\"]}",
            "pa$$word",
        ] {
            assert_eq!(find_placeholder(string), None, "{string}");
        }
    }
}
