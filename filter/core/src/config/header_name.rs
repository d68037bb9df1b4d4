//! Names and values of headers that the file writes (RFC 9110 sections 5.1 and 5.5).

use crate::contract::CLIENT_CERTIFICATE_HEADER;
use crate::diagnostics::{Findings, KeyPath, quoted};
use crate::http::header::WRITTEN_BY_PROXY;

/// Longest name, far beyond any that is in use.
const MAX_NAME: usize = 128;
/// Longest value: what proxies and servers let pass in one header.
const MAX_VALUE: usize = 8 * 1024;

/// What the file wants of a header.
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
    /// Whether it changes what the upstream gets.
    const fn changes_request(self) -> bool {
        matches!(
            self,
            Self::SetRequest | Self::RemoveRequest | Self::CarryClaim | Self::ReserveRequest
        )
    }
}

/// Headers that say how one connection carries a message; only who speaks on the connection can say it.
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

/// The name in lower case; `None`, with a problem, for one that is no name or that the file may not touch.
pub(super) fn read_name(
    name: &str,
    wish: Wish,
    key_path: &KeyPath,
    findings: &mut Findings,
) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if !is_token(&lower) {
        let help = if lower.starts_with(':') {
            "write `host_rewrite` for the host, and `prefix_rewrite` or `regex_rewrite_pattern` for the path"
        } else {
            "use letters, digits and `-`"
        };
        findings
            .problem(
                key_path,
                format!("{} is not the name of a header", quoted(name)),
            )
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

/// Why a wish cannot be granted, and what to write instead.
fn objection(name: &str, wish: Wish) -> Option<(&'static str, &'static str)> {
    let request = wish.changes_request();
    let writes = matches!(wish, Wish::SetRequest | Wish::CarryClaim);
    if FRAMING.contains(&name) {
        return Some((
            "belongs to the connection and not to the message",
            "take it out: each side of the proxy has its own",
        ));
    }
    if name.starts_with("x-jetway-") {
        return Some(("is between the proxy and its module", "choose another name"));
    }
    match name {
        "host" if request => Some((
            "is not changed as a header",
            "write `host_rewrite` or `preserve_host_header`",
        )),
        "x-forwarded-host" if request => Some((
            "is the public host, and the proxy writes it",
            "take it out, or write `preserve_host_header: true` to send the public host as `Host`",
        )),
        CLIENT_CERTIFICATE_HEADER if request => Some((
            "is between the proxy and its module, which removes it",
            "write another name, for example `X-Client-Fingerprint: ${pomerium.client_cert_fingerprint}`",
        )),
        "x-pomerium-jwt-assertion" if wish == Wish::CarryClaim => {
            Some(("carries the assertion", "choose another name"))
        }
        "cookie" | "*" if wish == Wish::ReserveRequest => Some((
            "cannot be taken from every request",
            "write `remove_request_headers` on the routes where it must not be",
        )),
        _ if wish == Wish::ReserveRequest && WRITTEN_BY_PROXY.contains(&name) => Some((
            "is written by the proxy, whatever a client sends",
            "take it out, or write `remove_request_headers` on the routes where it must not be",
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

/// Whether the text is a header's value; a problem if not.
pub(super) fn check_value(text: &str, key_path: &KeyPath, findings: &mut Findings) -> bool {
    if text.len() > MAX_VALUE {
        findings
            .problem(
                key_path,
                format!("the value is longer than {MAX_VALUE} bytes"),
            )
            .help("no server takes such a header");
        return false;
    }
    if text.chars().any(|c| c.is_control() && c != '\t') {
        findings
            .problem(
                key_path,
                "a header's value cannot hold line breaks or other control characters",
            )
            .help("write it on one line");
        return false;
    }
    true
}

fn is_token(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(fits)
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
            ("", SetRequest, "not the name"),
            ("a b", SetRequest, "not the name"),
            ("a:b", SetResponse, "not the name"),
            ("ä", SetRequest, "not the name"),
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
            ("X-Jetway-Route", SetRequest, "between the proxy"),
            ("X-Forwarded-Client-Cert", SetRequest, "between the proxy"),
            ("X-Forwarded-Host", SetRequest, "public host"),
            ("X-Envoy-Upstream-Rq-Timeout-Ms", SetRequest, "instruction"),
            (
                "X-Pomerium-Jwt-Assertion",
                CarryClaim,
                "carries the assertion",
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
