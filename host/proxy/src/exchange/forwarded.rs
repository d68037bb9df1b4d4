//! Header fields that describe the client and the way to it: the proxy sets them, and a client must not.

use std::net::SocketAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Scheme;
use jetway_core::contract::TRANSFER_ENCODING_HEADER;
use jetway_core::http::forwarded::{self as trusted, TrustedProxies};

use super::header_field::find_single;
use crate::request_id;

const FORWARDED_FOR: HeaderName = HeaderName::from_static(trusted::FORWARDED_FOR);
const FORWARDED_PROTO: HeaderName = HeaderName::from_static(trusted::FORWARDED_PROTO);
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// Tells the module about the transfer coding of a WebSocket handshake.
const TRANSFER_ENCODING: HeaderName = HeaderName::from_static(TRANSFER_ENCODING_HEADER);
/// Prefixes of fields that only a proxy may set.
const PREFIXES: [&str; 2] = ["x-forwarded-", "x-envoy-"];

/// The origin of a request, as far as it is certain.
#[derive(Debug)]
pub(super) struct RequestOrigin {
    /// The client; port 0 when a trusted proxy announced its address.
    pub(super) client: SocketAddr,
    /// The scheme by which the client reached the first trusted proxy, or this one.
    pub(super) scheme: Scheme,
    /// The id that a trusted proxy gave the request.
    pub(super) request_id: Option<HeaderValue>,
    /// The addresses that trusted proxies announced, followed by the peer's.
    chain: String,
}

impl RequestOrigin {
    /// Reads the origin from a request's fields as they were received from `peer`. Nothing may have been removed from them:
    /// a client could have a field removed that way (`Connection: x-forwarded-for`) and be taken for the proxy in front.
    pub(super) fn read(headers: &HeaderMap, peer: SocketAddr, proxies: TrustedProxies) -> Self {
        let lines = || {
            let lines = headers.get_all(FORWARDED_FOR).iter();
            lines.map(HeaderValue::as_bytes)
        };
        let client = proxies.client(lines());
        let peer_line = peer.ip().to_string();
        let announced = find_single(headers, &FORWARDED_PROTO).map(HeaderValue::as_bytes);
        let scheme = match proxies.scheme(announced) {
            "https" => Scheme::HTTPS,
            _ => Scheme::HTTP,
        };
        let id = headers.get(&REQUEST_ID);
        Self {
            client: client.map_or(peer, |address| SocketAddr::new(address, 0)),
            scheme,
            request_id: id
                .filter(|id| proxies.any() && request_id::is_acceptable(id))
                .cloned(),
            chain: proxies.chain(lines().chain([peer_line.as_bytes()])),
        }
    }

    /// Replaces every field that a client could have forged.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        remove_forgeable_fields(headers);
        if let Ok(scheme) = HeaderValue::from_str(self.scheme.as_str()) {
            headers.insert(FORWARDED_PROTO, scheme);
        }
        if let Ok(chain) = HeaderValue::from_str(&self.chain) {
            headers.insert(FORWARDED_FOR, chain);
        }
    }
}

/// Sets the request id that the plugin and the upstream see.
pub(super) fn set_request_id(headers: &mut HeaderMap, id: HeaderValue) {
    headers.insert(REQUEST_ID, id);
}

/// Sets the host that the client asked for, when the upstream gets another `Host`. A value that the plugin set is kept.
pub(super) fn set_host(headers: &mut HeaderMap, authority: HeaderValue) {
    headers.entry(FORWARDED_HOST).or_insert(authority);
}

/// Removes the fields that only a proxy may set.
fn remove_forgeable_fields(headers: &mut HeaderMap) {
    let is_reserved = |name: &&HeaderName| {
        let mut prefixes = PREFIXES.iter();
        prefixes.any(|prefix| name.as_str().starts_with(prefix))
    };
    let reserved: Vec<HeaderName> = headers.keys().filter(is_reserved).cloned().collect();
    for name in reserved {
        headers.remove(name);
    }
    for name in [header::FORWARDED, REAL_IP, REQUEST_ID, TRANSFER_ENCODING] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(
        fields: &[(&'static str, &'static str)],
        secure: bool,
        trusted_hops: usize,
    ) -> (HeaderMap, RequestOrigin) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let peer = "192.0.2.7:40000".parse().unwrap();
        let proxies = TrustedProxies::new(trusted_hops, secure);
        let origin = RequestOrigin::read(&headers, peer, proxies);
        origin.write(&mut headers);
        (headers, origin)
    }

    const CLAIMS: [(&str, &str); 11] = [
        ("x-forwarded-for", "203.0.113.9, 10.0.0.5"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-user", "evil"),
        ("x-forwarded-client-cert", "Hash=evil"),
        ("forwarded", "for=evil"),
        ("x-real-ip", "1.2.3.4"),
        ("x-envoy-original-path", "/evil"),
        ("x-request-id", "client-made"),
    ];

    #[test]
    fn a_client_is_not_trusted() {
        let (headers, origin) = rewritten(&CLAIMS, false, 0);
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(origin.request_id, None);
        assert_eq!(origin.client.to_string(), "192.0.2.7:40000");
    }

    #[test]
    fn tls_is_https_whatever_was_said() {
        let (headers, origin) = rewritten(&[("x-forwarded-proto", "http")], true, 1);
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(origin.scheme, Scheme::HTTPS);
    }

    #[test]
    fn trusted_proxies_are_trusted_and_no_further() {
        let (headers, origin) = rewritten(&CLAIMS, false, 1);
        assert_eq!(headers["x-forwarded-for"], "10.0.0.5, 192.0.2.7");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(origin.request_id.unwrap(), "client-made");
        assert!(!headers.contains_key("x-forwarded-host"));
        assert!(!headers.contains_key("x-forwarded-client-cert"));
        let (headers, _) = rewritten(&CLAIMS, false, 5);
        assert_eq!(
            headers["x-forwarded-for"],
            "203.0.113.9, 10.0.0.5, 192.0.2.7"
        );
    }

    #[test]
    fn two_schemes_are_no_scheme() {
        let (headers, _) = rewritten(
            &[
                ("x-forwarded-proto", "https"),
                ("x-forwarded-proto", "http"),
            ],
            false,
            1,
        );
        assert_eq!(headers["x-forwarded-proto"], "http");
        let (headers, _) = rewritten(&[("x-forwarded-proto", "https,http")], false, 1);
        assert_eq!(headers["x-forwarded-proto"], "http");
    }

    #[test]
    fn the_public_host_that_the_plugin_set_is_kept() {
        let mut headers = HeaderMap::new();
        set_host(&mut headers, HeaderValue::from_static("app.test"));
        assert_eq!(headers["x-forwarded-host"], "app.test");
        set_host(&mut headers, HeaderValue::from_static("other.test"));
        assert_eq!(headers["x-forwarded-host"], "app.test");
    }
}
