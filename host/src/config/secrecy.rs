//! What of a configuration must not be shown.

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
const HARMLESS: [&str; 8] = [
    "cookie_domain",
    "cookie_expire",
    "cookie_http_only",
    "cookie_name",
    "cookie_same_site",
    "bearer_token_format",
    "certificate_key",
    "idp_access_token_allowed_audiences",
];

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
    if SECRET_WORDS.iter().any(|word| contains(own, word)) {
        return true;
    }
    let mut key_seen = key_of(own).is_some();
    for line in lines {
        let Some(key) = key_of(line) else { continue };
        let around = indent(line) < indent(own);
        if (around || !key_seen) && SECRET_WORDS.iter().any(|word| contains(key, word)) {
            return true;
        }
        key_seen = true;
        if around {
            return false;
        }
    }
    false
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
