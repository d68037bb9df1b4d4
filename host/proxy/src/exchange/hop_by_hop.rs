//! Header fields that belong to one connection only (RFC 9110, 7.6.1).

use http::header::{self, HeaderMap, HeaderName};

use super::header_field::split_tokens;
use crate::fault::Fault;

/// The number of names in `Connection` from which on a request is refused, as in Envoy.
const TOO_MANY_NAMES: usize = 10;

/// Fields that no client may declare its connection's, as in Envoy: the request would lose what the proxy relies on.
const NEVER_NAMED: [&str; 4] = [
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Fields that belong to the connection even when `Connection` does not name them.
const ALWAYS: [HeaderName; 9] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Checks what the `Connection` of a request names.
///
/// # Errors
/// It names a field that belongs to the request, or too many.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Fault> {
    let lists = headers.get_all(header::CONNECTION).iter();
    for (place, token) in lists.flat_map(split_tokens).enumerate() {
        let is_named = |name: &str| token.eq_ignore_ascii_case(name.as_bytes());
        if token.starts_with(b":") || NEVER_NAMED.iter().any(|name| is_named(name)) {
            return Err(Fault::Malformed(
                "the Connection header names a field that belongs to the request",
            ));
        }
        if place + 1 >= TOO_MANY_NAMES {
            return Err(Fault::Malformed(
                "the Connection header names too many fields",
            ));
        }
    }
    Ok(())
}

/// Removes the fields of the connection, and every field that `Connection` names.
///
/// For requests this happens before the plugin sees them: a client that sends `Connection: x-identity` must not be able to
/// remove a field that the plugin sets (the mistake behind CVE-2025-48865).
pub(super) fn remove(headers: &mut HeaderMap) {
    for name in read_named(headers) {
        headers.remove(name);
    }
    for name in &ALWAYS {
        headers.remove(name);
    }
}

/// Returns the fields that `Connection` names.
fn read_named(headers: &HeaderMap) -> Vec<HeaderName> {
    let lists = headers.get_all(header::CONNECTION).iter();
    lists
        .flat_map(split_tokens)
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn fields_that_connection_names_are_removed() {
        let mut headers = headers(&[
            ("connection", "close, X-Email"),
            ("connection", "cookie ,x-forwarded-for,, b@d"),
            ("x-email", "evil"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-kept", "1"),
        ]);
        remove(&mut headers);
        assert_eq!(names(&headers), ["x-kept"]);
    }

    #[test]
    fn connection_names_no_field_of_the_request() {
        let named = |value: &'static str| check(&headers(&[("connection", value)])).is_ok();
        for good in [
            "close",
            "",
            "keep-alive, Upgrade",
            "x-email, te",
            "a,b,c,d,e,f,g,h,i",
        ] {
            assert!(named(good), "{good}");
        }
        for bad in [
            "Host",
            "close, X-Forwarded-For",
            "x-forwarded-proto",
            "X-Forwarded-Host",
            ":path",
            "a,b,c,d,e,f,g,h,i,j",
        ] {
            assert!(!named(bad), "{bad}");
        }
        assert!(check(&headers(&[("connection", "close"), ("connection", "host")])).is_err());
    }

    #[test]
    fn connection_fields_are_removed_unnamed() {
        let mut headers = headers(&[
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("proxy-authorization", "x"),
            ("proxy-connection", "x"),
            ("accept", "*/*"),
        ]);
        remove(&mut headers);
        assert_eq!(names(&headers), ["accept", "http2-settings"]);
    }
}
