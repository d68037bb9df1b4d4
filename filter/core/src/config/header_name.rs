//! Checks the names and values of headers in the file (RFC 9110 sections 5.1 and 5.5).

use crate::contract::CLIENT_CERTIFICATE_HEADER;
use crate::diagnostics::{Findings, KeyPath, quoted};
use crate::http::header::{WRITTEN_BY_PROXY, is_name, is_value};

/// The longest name in bytes, far longer than any in use.
const MAX_NAME: usize = 128;
/// The longest value in bytes: most proxies and servers accept no longer header.
const MAX_VALUE: usize = 8 * 1024;

/// The effect of a key on a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    SetRequest,
    RemoveRequest,
    CarryClaim,
    ReserveRequest,
    ReadRequest,
    SetResponse,
    RewriteResponse,
}

impl Wish {
    /// Returns whether the header belongs to the request to the upstream.
    const fn changes_request(self) -> bool {
        matches!(
            self,
            Self::SetRequest | Self::RemoveRequest | Self::CarryClaim | Self::ReserveRequest
        )
    }
}

/// Headers of one connection (RFC 9110 section 7.6.1): only the peers of the connection can set them.
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads the name in lower case. Returns `None` after it has reported a name that is invalid or that the key must not
/// change.
pub(super) fn read_name(
    name: &str,
    wish: Wish,
    key_path: &KeyPath,
    findings: &mut Findings,
) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if !is_name(&lower) || lower.len() > MAX_NAME {
        let help = if lower.starts_with(':') {
            "write `host_rewrite` for the host, and `prefix_rewrite` or `regex_rewrite_pattern` for the path"
        } else {
            "use letters, digits and `-`"
        };
        findings
            .problem(key_path, format!("{} is not a header name", quoted(name)))
            .help(help);
        return None;
    }
    if let Some((what, help)) = objection(&lower, wish) {
        findings
            .problem(key_path, format!("{} {what}", quoted(name)))
            .help(help);
        return None;
    }
    Some(lower)
}

/// Returns why a key must not have the header, and what to write instead.
fn objection(name: &str, wish: Wish) -> Option<(&'static str, &'static str)> {
    let request = wish.changes_request();
    let writes = matches!(wish, Wish::SetRequest | Wish::CarryClaim);
    if FRAMING.contains(&name) {
        return Some((
            "belongs to the connection, not to the message",
            "remove it: the proxy has a connection to each side",
        ));
    }
    if name.starts_with("x-jetway-") {
        return Some((
            "is internal to the proxy and its module",
            "choose another name",
        ));
    }
    match name {
        "host" if request => Some((
            "cannot be changed as a header",
            "write `host_rewrite` or `preserve_host_header`",
        )),
        "x-forwarded-host" if request => Some((
            "is the public host, which the proxy sets",
            "remove it, or write `preserve_host_header: true` to send the public host as `Host`",
        )),
        CLIENT_CERTIFICATE_HEADER if request => Some((
            "is internal to the proxy and its module, which removes it",
            "write another name, for example `X-Client-Fingerprint: ${pomerium.client_cert_fingerprint}`",
        )),
        "x-pomerium-jwt-assertion" if wish == Wish::CarryClaim => {
            Some(("is the header of the assertion", "choose another name"))
        }
        "cookie" | "*" if wish == Wish::ReserveRequest => Some((
            "cannot be removed from every request",
            "write `remove_request_headers` on the routes whose upstreams must not get it",
        )),
        _ if wish == Wish::ReserveRequest && WRITTEN_BY_PROXY.contains(&name) => Some((
            "is set by the proxy, and a client's value is ignored",
            "remove it, or write `remove_request_headers` on the routes whose upstreams must not get it",
        )),
        "set-cookie" if wish == Wish::SetResponse => Some((
            "would replace the cookies of the upstream",
            "let the upstream set its cookies",
        )),
        _ if writes && name.starts_with("x-envoy-") => Some((
            "is an instruction to Envoy",
            "write `timeout` or another key of the route",
        )),
        _ => None,
    }
}

/// Returns whether the string is a valid header value, and reports a problem if not.
pub(super) fn check_value(text: &str, key_path: &KeyPath, findings: &mut Findings) -> bool {
    if text.len() > MAX_VALUE {
        findings
            .problem(
                key_path,
                format!("the value is longer than {MAX_VALUE} bytes"),
            )
            .help("shorten it: servers refuse such a header");
        return false;
    }
    if !is_value(text) {
        findings
            .problem(
                key_path,
                "a header value must not contain line breaks or other control characters",
            )
            .help("write it on one line");
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, wish: Wish) -> Result<String, String> {
        let mut findings = Findings::default();
        read_name(name, wish, &KeyPath::root(), &mut findings)
            .ok_or_else(|| findings.problems()[0].to_string())
    }

    #[test]
    fn ordinary_names_are_lowered() {
        for (name, wish) in [
            ("X-Pomerium-Jwt-Assertion", Wish::SetRequest),
            ("Authorization", Wish::SetRequest),
            ("Cookie", Wish::RemoveRequest),
            ("X-Forwarded-For", Wish::RemoveRequest),
            ("X-Envoy-External-Address", Wish::RemoveRequest),
            ("Location", Wish::RewriteResponse),
            ("Set-Cookie", Wish::RewriteResponse),
            ("Host", Wish::SetResponse),
        ] {
            assert_eq!(read(name, wish), Ok(name.to_ascii_lowercase()), "{name}");
        }
    }

    #[test]
    fn others_are_refused_with_a_reason() {
        use Wish::{CarryClaim, RemoveRequest, RewriteResponse, SetRequest, SetResponse};
        for (name, wish, reason) in [
            ("", SetRequest, "not a header name"),
            ("a b", SetRequest, "not a header name"),
            ("a:b", SetResponse, "not a header name"),
            ("ä", SetRequest, "not a header name"),
            (":authority", SetRequest, "host_rewrite"),
            ("Host", SetRequest, "host_rewrite"),
            ("host", RemoveRequest, "host_rewrite"),
            ("Connection", RemoveRequest, "belongs to the connection"),
            ("Upgrade", RemoveRequest, "belongs to the connection"),
            ("Content-Length", SetResponse, "belongs to the connection"),
            (
                "transfer-encoding",
                RewriteResponse,
                "belongs to the connection",
            ),
            ("X-Jetway-Route", SetRequest, "internal to the proxy"),
            (
                "X-Forwarded-Client-Cert",
                SetRequest,
                "internal to the proxy",
            ),
            ("X-Forwarded-Host", SetRequest, "public host"),
            ("X-Envoy-Upstream-Rq-Timeout-Ms", SetRequest, "instruction"),
            (
                "X-Pomerium-Jwt-Assertion",
                CarryClaim,
                "is the header of the assertion",
            ),
            ("Set-Cookie", SetResponse, "replace the cookies"),
        ] {
            let refused = read(name, wish).unwrap_err();
            assert!(refused.contains(reason), "{name}: {refused}");
        }
        assert!(read(&"a".repeat(MAX_NAME + 1), SetRequest).is_err());
    }

    #[test]
    fn values_stay_on_one_line() {
        let fits = |text: &str| check_value(text, &KeyPath::root(), &mut Findings::default());
        for text in ["", "a b\tc", "é"] {
            assert!(fits(text), "{text:?}");
        }
        for text in [
            "a\r\nb",
            "\0",
            "\u{7f}",
            "\u{85}",
            &"a".repeat(MAX_VALUE + 1),
        ] {
            assert!(!fits(text), "{text:?}");
        }
    }
}
