//! Header names that a client may not bring to an upstream, and bytes that a header value may not have.

use crate::contract::{CLIENT_CERTIFICATE_HEADER, ROUTE_HEADER};

/// Claims about the request or the visitor that only a proxy may make, and overrides that would let an upstream serve
/// another path or method than the one that was judged. `X-Forwarded-For` and `-Proto` are the body's: it has replaced
/// them before the module sees the request.
const SPOOFABLE: [&str; 9] = [
    "forwarded",
    "x-auth-request-email",
    "x-auth-request-user",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Beginnings of names under which upstreams are told by proxies who the visitor is and how they came.
const SPOOFABLE_PREFIXES: [&str; 2] = ["x-pomerium-", "x-forwarded-"];
/// Those of them that are the body's, in this spelling only.
const BODYS: [&str; 2] = ["x-forwarded-for", "x-forwarded-proto"];

/// The names of headers that are removed from every request of a client, because only a proxy may make them.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// Names of `jwt_claims_headers`, folded; an application behind may take each for the proxy's word.
    configured: Vec<String>,
    /// The first bytes of all reserved names, as bits: nearly every header fails here.
    first: u128,
}

impl Reserved {
    /// The names that are always reserved, and these.
    pub(crate) fn new<'n>(configured: impl Iterator<Item = &'n str>) -> Self {
        let mut reserved = Self {
            configured: configured
                .filter(|name| !name.starts_with(':'))
                .map(|name| name.bytes().map(|byte| char::from(fold(byte))).collect())
                .collect(),
            first: bit(b'x') | bit(b'f'),
        };
        for name in &reserved.configured {
            reserved.first |= name.bytes().next().map_or(0, bit);
        }
        reserved
    }

    /// Whether a header of this name is removed. `_` and `.` count as `-`, because many servers read them so.
    pub(crate) fn covers(&self, name: &str) -> bool {
        let Some(first) = name.bytes().next() else {
            return false;
        };
        self.first & bit(fold(first)) != 0
            && !BODYS.contains(&name)
            && (SPOOFABLE_PREFIXES
                .iter()
                .any(|prefix| has_alias_prefix(name, prefix))
                || is_alias(name, ROUTE_HEADER)
                || is_alias(name, CLIENT_CERTIFICATE_HEADER)
                || SPOOFABLE.iter().any(|spoofable| is_alias(name, spoofable))
                || self.configured.iter().any(|own| is_alias(name, own)))
    }
}

/// One bit for each ASCII byte, none for others.
const fn bit(byte: u8) -> u128 {
    if byte < 128 { 1 << byte } else { 0 }
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

/// Whether a name is this one; `_` and `.` count as `-`.
pub(crate) fn is_alias(name: &str, canonical: &str) -> bool {
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

    fn reserved() -> Reserved {
        Reserved::new(["remote_user", "X-Email", ":path"].into_iter())
    }

    #[test]
    fn every_spelling_is_caught() {
        for name in [
            "x-pomerium-jwt-assertion",
            "X_Pomerium_Claim.Email",
            "x-jetway-route",
            "x.jetway_route",
            "X-Forwarded-Host",
            "x_http_method_override",
            "x-forwarded-client-cert",
            "x_forwarded_client_cert",
            "forwarded",
            "remote-user",
            "Remote_User",
            "remote.user",
            "x_email",
        ] {
            assert!(reserved().covers(name), "{name}");
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
            "remote-user-agent",
            "remote",
            "\u{e9}",
            ":path",
            "",
        ] {
            assert!(!reserved().covers(name), "{name}");
        }
    }

    #[test]
    fn values_are_cleaned_of_what_could_end_them() {
        for (value, clean_value) in [
            (&b"a\r\nb: c\0"[..], &b"ab: c"[..]),
            (b" \ta\tb ", b"a\tb"),
            (b"\xff\x7f", b"\xff"),
            (b"", b""),
        ] {
            assert_eq!(clean(value.to_vec()), clean_value);
        }
    }
}
