//! What of a configuration must not be shown.

use std::ops::Range;

use jetway_core::config::key::{Key, Kind};
use jetway_core::diagnostics::{userinfo, without_userinfo};

/// The key whose values are sent to upstreams: often passwords and tokens, under any name.
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
/// Keys of the file with such a word and nothing secret.
const HARMLESS: [&str; 7] = [
    "cookie_domain",
    "cookie_expire",
    "cookie_http_only",
    "cookie_name",
    "cookie_same_site",
    "bearer_token_format",
    "idp_access_token_allowed_audiences",
];

/// Where in a file something stands, as far as that tells whether it may be shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Region {
    /// Among these keys.
    Keys(&'static [Key]),
    /// Where a key is free to be any name.
    Other,
    /// In a secret, or in something that may be one.
    Secret,
}

impl Region {
    /// The region of a key's value. That of a key that nobody knows may be a secret whose key is misspelt.
    pub(super) fn enter(self, key: &str) -> Self {
        let name = key.to_ascii_lowercase();
        if matches!(self, Self::Secret) || names_a_secret(&name) || name == SENT_HEADERS {
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

/// The stretch of a value, as it is written, that may be the password of an address.
pub(super) fn address_secret(written: &str) -> Option<Range<usize>> {
    // Escapes of `/` and `@`, which nobody needs: the whole value is as good.
    let escapes = ["\\/", "\\x", "\\u", "\\U"];
    if written.starts_with('"') && escapes.iter().any(|escape| written.contains(escape)) {
        return Some(0..written.len());
    }
    userinfo(written)
}

/// Whether a key's value is a secret; keys that name a file are not, and those of headers and the like may be.
pub(super) fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    !key.ends_with("_file")
        && !HARMLESS.contains(&key.as_str())
        && SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// Whether a line of a text that could not be parsed may hold a part of a secret.
///
/// A secret may stand on the line of its key, or on lines below it. So a line can be shown if the last key before it, and
/// the key of the block around it, name none.
pub(super) fn may_hold_a_secret(text: &str, offset: usize) -> bool {
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
    if names_one(own) || without_userinfo(own) != own {
        return true;
    }
    let mut key_seen = key_of(own).is_some();
    for line in lines {
        let Some(key) = key_of(line) else { continue };
        let around = indent(line) < indent(own);
        if (around || !key_seen) && names_one(key) {
            return true;
        }
        key_seen = true;
        if around {
            return false;
        }
    }
    false
}

/// Whether a piece of a text has a word in it that keys of secrets have.
fn names_one(piece: &str) -> bool {
    let mut words = SECRET_WORDS.iter().chain([&SENT_HEADERS]);
    words.any(|word| contains(piece, word))
}

fn key_of(line: &str) -> Option<&str> {
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
    fn secrets_are_known_by_their_keys() {
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
            assert!(names_a_secret(key), "{key}");
        }
        for key in [
            "from",
            "cookie_name",
            "cookie_secret_file",
            "authenticate_service_url",
        ] {
            assert!(!names_a_secret(key), "{key}");
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
