//! Header names that a client may not bring to an upstream, and bytes that a header value may not have.

use crate::contract::ROUTE_HEADER;

/// Claims about the request or the visitor that only a proxy may make, and overrides that would let an upstream serve
/// another path or method than the one that was judged. `X-Forwarded-For` and `-Proto` are the body's: it has replaced
/// them before the module sees the request.
const SPOOFABLE: [&str; 15] = [
    "forwarded",
    "x-auth-request-email",
    "x-auth-request-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-forwarded-user",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-rewrite-url",
];

/// Whether a header from a client is removed before the upstream sees the request. `_` and `.` count as `-`, because many
/// servers read them so.
#[must_use]
pub fn is_spoofable(name: &str) -> bool {
    // Nearly every header fails here, at its first byte.
    if !matches!(name.as_bytes().first(), Some(b'x' | b'X' | b'f' | b'F')) {
        return false;
    }
    has_alias_prefix(name, "x-pomerium-")
        || is_alias(name, ROUTE_HEADER)
        || SPOOFABLE.iter().any(|spoofable| is_alias(name, spoofable))
}

/// A header value without what is not allowed in one (RFC 9110 section 5.5): control characters, and space at its ends.
pub(crate) fn clean(mut value: Vec<u8>) -> Vec<u8> {
    value.retain(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f));
    let trimmed = value.trim_ascii();
    if trimmed.len() == value.len() {
        value
    } else {
        trimmed.to_vec()
    }
}

fn is_alias(name: &str, canonical: &str) -> bool {
    name.len() == canonical.len() && has_alias_prefix(name, canonical)
}

fn has_alias_prefix(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len()
        && name
            .bytes()
            .zip(prefix.bytes())
            .all(|(have, want)| fold(have) == want)
}

const fn fold(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_caught() {
        for name in [
            "x-pomerium-jwt-assertion",
            "X_Pomerium_Claim.Email",
            "x-jetway-route",
            "x.jetway_route",
            "X-Forwarded-Host",
            "x_http_method_override",
            "forwarded",
        ] {
            assert!(is_spoofable(name), "{name}");
        }
    }

    #[test]
    fn others_pass() {
        for name in [
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-request-id",
            "cookie",
            "xpomerium",
            "x-pomerium",
            "",
        ] {
            assert!(!is_spoofable(name), "{name}");
        }
    }
}
