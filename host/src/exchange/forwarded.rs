//! What the proxy says about the client, and what a client may not say about itself.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Scheme;

use super::hop_by_hop::tokens;
use super::request_id;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// Fields under these prefixes are a proxy's to set.
const PREFIXES: [&str; 2] = ["x-forwarded-", "x-envoy-"];

/// What is true of the connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hop {
    /// The other end.
    pub(super) peer: IpAddr,
    /// Whether it speaks TLS.
    pub(super) secure: bool,
    /// How many proxies in front are believed (`xff_num_trusted_hops`).
    pub(super) trusted_hops: usize,
}

/// What was found out about the client's own request.
#[derive(Debug)]
pub(super) struct Origin {
    /// How the client reached the first of the trusted proxies, or us.
    pub(super) scheme: Scheme,
    /// The id that a trusted proxy gave the request.
    pub(super) request_id: Option<HeaderValue>,
}

/// Replaces everything that a client could have made up by what this proxy and those it trusts know.
pub(super) fn rewrite(headers: &mut HeaderMap, hop: Hop) -> Origin {
    let believed = Believed::take(headers, hop);
    remove_claims(headers);
    let scheme = if hop.secure {
        Scheme::HTTPS
    } else {
        believed.scheme.unwrap_or(Scheme::HTTP)
    };
    let proto = HeaderValue::from_static(if scheme == Scheme::HTTPS {
        "https"
    } else {
        "http"
    });
    headers.insert(FORWARDED_PROTO, proto);
    let mut chain = believed.chain;
    chain.push(unmapped(hop.peer).to_string());
    // A comma and a space: Cockpit takes the text after the last space for the client.
    if let Ok(value) = HeaderValue::try_from(chain.join(", ")) {
        headers.insert(FORWARDED_FOR, value);
    }
    Origin {
        scheme,
        request_id: believed.request_id,
    }
}

/// Names the request to plugin and upstream.
pub(super) fn set_request_id(headers: &mut HeaderMap, id: HeaderValue) {
    headers.insert(REQUEST_ID, id);
}

/// Tells the upstream under which name it was addressed, when its `Host` is another.
pub(super) fn set_host(headers: &mut HeaderMap, authority: HeaderValue) {
    headers.insert(FORWARDED_HOST, authority);
}

/// What trusted proxies in front said.
#[derive(Default)]
struct Believed {
    /// Addresses, the client's first.
    chain: Vec<String>,
    scheme: Option<Scheme>,
    request_id: Option<HeaderValue>,
}

impl Believed {
    fn take(headers: &HeaderMap, hop: Hop) -> Self {
        if hop.trusted_hops == 0 {
            return Self::default();
        }
        let request_id = headers
            .get(&REQUEST_ID)
            .filter(|id| request_id::is_acceptable(id))
            .cloned();
        Self {
            chain: chain(headers, hop.trusted_hops),
            scheme: scheme(headers),
            request_id,
        }
    }
}

/// The last `trusted` addresses: each proxy appends the one that it saw, and what stands before may be made up.
fn chain(headers: &HeaderMap, trusted: usize) -> Vec<String> {
    let lines = headers.get_all(FORWARDED_FOR).iter();
    let entries: Vec<&[u8]> = lines.flat_map(|line| tokens(line.as_bytes())).collect();
    let start = entries.len().saturating_sub(trusted);
    let kept = entries.get(start..).unwrap_or_default();
    kept.iter()
        .filter_map(|entry| {
            Some(
                std::str::from_utf8(entry)
                    .ok()?
                    .parse::<IpAddr>()
                    .ok()?
                    .to_string(),
            )
        })
        .collect()
}

fn scheme(headers: &HeaderMap) -> Option<Scheme> {
    let mut values = headers.get_all(FORWARDED_PROTO).iter();
    let (value, more) = (values.next()?, values.next());
    match value.as_bytes() {
        _ if more.is_some() => None,
        b"https" => Some(Scheme::HTTPS),
        b"http" => Some(Scheme::HTTP),
        _ => None,
    }
}

fn remove_claims(headers: &mut HeaderMap) {
    let is_claim = |name: &&HeaderName| {
        PREFIXES
            .iter()
            .any(|prefix| name.as_str().starts_with(prefix))
    };
    let claims: Vec<HeaderName> = headers.keys().filter(is_claim).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
    for name in [header::FORWARDED, REAL_IP, REQUEST_ID] {
        headers.remove(name);
    }
}

/// `::ffff:192.0.2.1`, as a listener for both families sees IPv4, is written as IPv4.
fn unmapped(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(
        fields: &[(&'static str, &'static str)],
        secure: bool,
        trusted_hops: usize,
    ) -> (HeaderMap, Origin) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let hop = Hop {
            peer: "192.0.2.7".parse().unwrap(),
            secure,
            trusted_hops,
        };
        let origin = rewrite(&mut headers, hop);
        (headers, origin)
    }

    const CLAIMS: [(&str, &str); 10] = [
        ("x-forwarded-for", "203.0.113.9, 10.0.0.5"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-user", "evil"),
        ("forwarded", "for=evil"),
        ("x-real-ip", "1.2.3.4"),
        ("x-envoy-original-path", "/evil"),
        ("x-request-id", "client-made"),
    ];

    #[test]
    fn a_client_is_not_believed() {
        let (headers, origin) = rewritten(&CLAIMS, false, 0);
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(origin.request_id, None);
    }

    #[test]
    fn tls_is_https_whatever_was_said() {
        let (headers, origin) = rewritten(&[("x-forwarded-proto", "http")], true, 1);
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(origin.scheme, Scheme::HTTPS);
    }

    #[test]
    fn trusted_proxies_are_believed_and_no_further() {
        let (headers, origin) = rewritten(&CLAIMS, false, 1);
        assert_eq!(headers["x-forwarded-for"], "10.0.0.5, 192.0.2.7");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(origin.request_id.unwrap(), "client-made");
        assert!(!headers.contains_key("x-forwarded-host"));
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
    fn mapped_addresses_are_written_as_ipv4() {
        let hop = Hop {
            peer: "::ffff:192.0.2.7".parse().unwrap(),
            secure: true,
            trusted_hops: 0,
        };
        let mut headers = HeaderMap::new();
        rewrite(&mut headers, hop);
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
    }
}
