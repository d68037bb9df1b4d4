//! Finds the parts of a configuration that must not be shown.

use std::ops::Range;

use jetway_core::config::key::{Key, Kind};
use jetway_core::diagnostics::{userinfo, without_userinfo};

/// The key whose values are sent to upstreams. They are often passwords and tokens, under any name.
const SENT_HEADERS: &str = "set_request_headers";

/// Words in a key whose value is a secret.
const SECRET_WORDS: [&str; 9] = [
    "authorization",
    "basic_auth",
    "connection_string",
    "cookie",
    "credential",
    "key",
    "password",
    "secret",
    "token",
];
/// Keys of the file that contain such a word and have no secret value.
const HARMLESS: [&str; 7] = [
    "cookie_domain",
    "cookie_expire",
    "cookie_http_only",
    "cookie_name",
    "cookie_same_site",
    "bearer_token_format",
    "idp_access_token_allowed_audiences",
];

/// A part of the file, as far as it determines whether a value may be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Region {
    /// A map with these keys.
    Keys(&'static [Key]),
    /// A map in which a key may have any name.
    Other,
    /// A secret, or a value that may be one.
    Secret,
}

impl Region {
    /// Returns the region of a key's value. The value of an unknown key may be a secret whose key is misspelt.
    pub(crate) fn enter(self, key: &str) -> Self {
        let name = key.to_ascii_lowercase();
        if matches!(self, Self::Secret) || is_secret_name(&name) || name == SENT_HEADERS {
            return Self::Secret;
        }
        let Self::Keys(table) = self else {
            return self;
        };
        match Key::find(table, &name).map(|key| key.kind) {
            None | Some(Kind::Secret) => Self::Secret,
            Some(Kind::Map(table) | Kind::MapList(table)) => Self::Keys(table),
            Some(_) => Self::Other,
        }
    }
}

/// Returns the range of a value, as it is written, that may be the password of an address.
pub(crate) fn find_password(written: &str) -> Option<Range<usize>> {
    // `/` and `@` may be escaped, which is never necessary: then the whole value is hidden.
    let escapes = ["\\/", "\\x", "\\u", "\\U"];
    if written.starts_with('"') && escapes.iter().any(|escape| written.contains(escape)) {
        return Some(0..written.len());
    }
    userinfo(written)
}

/// Whether a key's value is a secret. Keys that name a file are no secrets; names of headers may be.
pub(crate) fn is_secret_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    !key.ends_with("_file")
        && !HARMLESS.contains(&key.as_str())
        && SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// Whether a line of a source that could not be parsed may contain a part of a secret.
///
/// A secret may be on the line of its key, or on lines below it. So a line can be shown if neither the last key before it
/// nor the key of the block around it names a secret.
pub(crate) fn may_hold_a_secret(text: &str, offset: usize) -> bool {
    let end = text
        .get(offset..)
        .and_then(|rest| rest.find('\n'))
        .map_or(text.len(), |at| offset + at);
    let Some(before) = text.get(..end) else {
        return true;
    };
    let mut lines = before.lines().rev();
    let own = lines.next().unwrap_or_default();
    // JSON has many keys on one line.
    if has_secret_word(own) || without_userinfo(own) != own {
        return true;
    }
    let mut key_seen = find_line_key(own).is_some();
    for line in lines {
        let Some(key) = find_line_key(line) else {
            continue;
        };
        let around = indent(line) < indent(own);
        if (around || !key_seen) && has_secret_word(key) {
            return true;
        }
        key_seen = true;
        if around {
            return false;
        }
    }
    false
}

/// Whether a string contains a word that keys of secrets contain.
fn has_secret_word(piece: &str) -> bool {
    let mut words = SECRET_WORDS.iter().chain([&SENT_HEADERS]);
    words.any(|word| contains(piece, word))
}

fn find_line_key(line: &str) -> Option<&str> {
    let trimmed = line.trim();
    let (key, _) = trimmed.split_once(':')?;
    (!trimmed.starts_with('#')).then_some(key)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn contains(text: &str, word: &str) -> bool {
    text.as_bytes()
        .windows(word.len())
        .any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_recognised_by_their_keys() {
        for key in [
            "cookie_secret",
            "IDP_Client_Secret",
            "signing_key",
            "tls_client_key",
            "databroker_storage_connection_string",
            "metrics_basic_auth",
            "Authorization",
            "x-api-key",
            "kubernetes_service_account_token",
        ] {
            assert!(is_secret_name(key), "{key}");
        }
        for key in [
            "from",
            "cookie_name",
            "cookie_secret_file",
            "authenticate_service_url",
        ] {
            assert!(!is_secret_name(key), "{key}");
        }
    }

    #[test]
    fn lines_near_a_secret_are_not_shown() {
        for (text, line) in [
            ("cookie_secret: [\n", "cookie_secret"),
            ("signing_key: |\n  -----BEGIN\n  MIIE\n", "MIIE"),
            ("signing_key: |\n-----BEGIN\nMIIE\n", "MIIE"),
            ("a: {b: 1, cookie_secret: x, c}\n", "c}"),
            ("cookie_secret: >\n  aGVs\n\n  bG8=\n", "bG8="),
            ("to: [http://admin:pw@a\n", "to"),
            ("set_request_headers: {X: y\n", "y"),
            ("set_request_headers:\n  X: [y\n", "y"),
        ] {
            let offset = text.find(line).unwrap();
            assert!(may_hold_a_secret(text, offset), "{text:?}");
        }
        for (text, line) in [
            ("cookie_secret: x\nroutes:\n  - from: [\n", "from"),
            ("cookie_secret: x\nroutes: [\n", "routes"),
            ("routes:\n  - from: a\n   to: b\n", "to"),
        ] {
            let offset = text.find(line).unwrap();
            assert!(!may_hold_a_secret(text, offset), "{text:?}");
        }
    }
}
