//! The methods and authorities that a request may have, checked by one rule in the module and in the proxy that runs it.

use std::net::Ipv6Addr;

use crate::refusal::{BadRequest, Refusal};

/// The value of `Allow` for a request whose method is never forwarded (RFC 9110, 10.2.1). Upstreams may accept fewer methods.
pub const FORWARDED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// The longest method; the longest registered one has 17 letters.
const LONGEST_METHOD: usize = 32;
/// The longest authority: a DNS name and a port.
const LONGEST_AUTHORITY: usize = 255 + 6;

/// Checks that requests with this method may be forwarded.
///
/// Methods are case-sensitive: `get` is not GET, but some applications treat it as GET. `CONNECT` opens tunnels to any host,
/// and `TRACE` echoes the secrets of a request.
///
/// # Errors
/// The method is not a token of capital letters, or is never forwarded.
pub fn check_method(method: &str) -> Result<(), Refusal> {
    let is_in_token = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    if method.is_empty() || method.len() > LONGEST_METHOD || !method.bytes().all(is_in_token) {
        return Err(Refusal::BadRequest(BadRequest::Method));
    }
    // The beginning of an HTTP/2 connection (RFC 9113, 3.4), which is never a request.
    if method == "PRI" {
        return Err(Refusal::BadRequest(BadRequest::Method));
    }
    if matches!(method, "TRACE" | "TRACK" | "CONNECT") {
        return Err(Refusal::MethodNotAllowed);
    }
    Ok(())
}

/// Returns whether the value of `Host` or `:authority` is `host` or `host:port`.
#[must_use]
pub fn is_authority(value: &[u8]) -> bool {
    split_authority(value).is_some()
}

/// Splits `host` or `host:port`; `None` for anything else, such as a user name or a list.
pub(crate) fn split_authority(value: &[u8]) -> Option<(&str, Option<u16>)> {
    let text = std::str::from_utf8(value).ok()?;
    if text.len() > LONGEST_AUTHORITY {
        return None;
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(parse_port(port)?)),
        _ => (text, None),
    };
    is_host(host).then_some((host, port))
}

/// Returns whether the host is an IPv6 address in brackets or a host name, so that nothing else reaches a redirect or a log.
///
/// DNS and some upstreams ignore a dot at the end of a name, and the routes do not: such a name is refused.
fn is_host(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if let Some(address) = bare {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    is_host_name(host)
}

/// Returns whether the string is a host name or an IPv4 address, without a port.
#[must_use]
pub fn is_host_name(host: &str) -> bool {
    let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && !host.ends_with('.') && host.bytes().all(is_in_name)
}

fn parse_port(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_tokens_of_capital_letters() {
        let status = |method: &str| check_method(method).err().map(|refusal| refusal.status());
        for method in FORWARDED_METHODS
            .split(", ")
            .chain(["PROPFIND", "M-SEARCH"])
        {
            assert_eq!(status(method), None, "{method}");
        }
        for method in ["TRACE", "TRACK", "CONNECT"] {
            assert_eq!(status(method), Some(405), "{method}");
        }
        for method in ["", "get", "GET ", "G3T", "PRI", &"A".repeat(33)] {
            assert_eq!(status(method), Some(400), "{method}");
        }
    }

    #[test]
    fn an_authority_is_a_host_and_a_port() {
        for good in [
            "a",
            "a.b-c.d",
            "a_b.c",
            "A.B",
            "1.2.3.4:80",
            "[::1]",
            "[::1]:443",
        ] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "u@h",
            "a,b",
            "a b",
            "a/b",
            "a:",
            "a:0",
            "a:99999",
            "a:+1",
            "a:1:2",
            "[::1",
            "[x]",
            "[::1]x",
            "A.B.",
            "ä",
            &"a".repeat(262),
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
        assert!(!is_authority(b"a\xff"));
    }
}
