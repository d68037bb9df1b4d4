//! What the proxy says about the client, and what a client may not say about itself.

use std::net::{IpAddr, SocketAddr};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Scheme;

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
    pub(super) peer: SocketAddr,
    /// Whether it speaks TLS.
    pub(super) secure: bool,
    /// How many proxies in front are believed (`xff_num_trusted_hops`).
    pub(super) trusted_hops: usize,
}

/// Where a request comes from, as far as that is certain.
#[derive(Debug)]
pub(super) struct Origin {
    /// The client; port 0 when a trusted proxy told its address.
    pub(super) client: SocketAddr,
    /// How the client reached the first of the trusted proxies, or us.
    pub(super) scheme: Scheme,
    /// The id that a trusted proxy gave the request.
    pub(super) request_id: Option<HeaderValue>,
    /// The addresses that trusted proxies told, then the peer's.
    chain: Vec<IpAddr>,
}

impl Origin {
    /// Reads it from a request's fields as they were received. Nothing may have been removed from them: a client could
    /// have a field removed that way (`Connection: x-forwarded-for`) and pass for the proxy in front.
    pub(super) fn read(headers: &HeaderMap, hop: Hop) -> Self {
        let said = Said::read(headers, hop.trusted_hops);
        let client = said
            .client
            .map_or(hop.peer, |address| SocketAddr::new(address, 0));
        let mut chain = said.chain;
        chain.push(hop.peer.ip());
        Self {
            client,
            scheme: if hop.secure {
                Scheme::HTTPS
            } else {
                said.scheme.unwrap_or(Scheme::HTTP)
            },
            request_id: said.request_id,
            chain,
        }
    }

    /// Replaces everything that a client could have made up by what is certain.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        remove_claims(headers);
        let proto = HeaderValue::from_static(if self.scheme == Scheme::HTTPS {
            "https"
        } else {
            "http"
        });
        headers.insert(FORWARDED_PROTO, proto);
        let chain: Vec<String> = self.chain.iter().map(IpAddr::to_string).collect();
        // A comma and a space: Cockpit takes the text after the last space for the client.
        if let Ok(value) = HeaderValue::try_from(chain.join(", ")) {
            headers.insert(FORWARDED_FOR, value);
        }
    }
}

/// Names the request to plugin and upstream.
pub(super) fn set_request_id(headers: &mut HeaderMap, id: HeaderValue) {
    headers.insert(REQUEST_ID, id);
}

/// Tells the upstream under which name it was addressed, when its `Host` is another. What the plugin says stands.
pub(super) fn set_host(headers: &mut HeaderMap, authority: HeaderValue) {
    headers.entry(FORWARDED_HOST).or_insert(authority);
}

/// What trusted proxies in front said.
#[derive(Default)]
struct Said {
    client: Option<IpAddr>,
    chain: Vec<IpAddr>,
    scheme: Option<Scheme>,
    request_id: Option<HeaderValue>,
}

impl Said {
    fn read(headers: &HeaderMap, trusted_hops: usize) -> Self {
        if trusted_hops == 0 {
            return Self::default();
        }
        let lines = headers.get_all(FORWARDED_FOR).iter();
        let entries: Vec<&[u8]> = lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .collect();
        // Each proxy appends the address that it saw, and what stands before those of the trusted ones may be made up.
        let start = entries.len().checked_sub(trusted_hops);
        let trusted = entries.get(start.unwrap_or(0)..).unwrap_or_default();
        Self {
            // As Envoy does: with fewer entries, or something else in this place, the peer is the client.
            client: start.and_then(|_| address(trusted.first()?)),
            chain: trusted.iter().filter_map(|entry| address(entry)).collect(),
            scheme: scheme(headers),
            request_id: headers
                .get(&REQUEST_ID)
                .filter(|id| request_id::is_acceptable(id))
                .cloned(),
        }
    }
}

/// An address as it stands in a list, without a port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(entry.trim_ascii()).ok()?.parse().ok()
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

#[cfg(test)]
mod fuzz;
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
            peer: "192.0.2.7:40000".parse().unwrap(),
            secure,
            trusted_hops,
        };
        let origin = Origin::read(&headers, hop);
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
    fn a_client_is_not_believed() {
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
    fn trusted_proxies_are_believed_and_no_further() {
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

    /// What Envoy 1.40 makes of the same fields, with `use_remote_address` and this `xff_num_trusted_hops`.
    #[test]
    fn the_client_is_the_one_that_envoy_takes() {
        const PEER: &str = "192.0.2.7:40000";
        let lines: [(&[&'static str], usize, &str); 21] = [
            (&[], 0, PEER),
            (&[], 1, PEER),
            (&["203.0.113.9"], 0, PEER),
            (&["203.0.113.9"], 1, "203.0.113.9:0"),
            (&["203.0.113.9"], 2, PEER),
            (&["203.0.113.9, 10.0.0.5"], 1, "10.0.0.5:0"),
            (&["203.0.113.9, 10.0.0.5"], 2, "203.0.113.9:0"),
            (&["203.0.113.9, 10.0.0.5"], 3, PEER),
            (&["evil, 203.0.113.9,10.0.0.5"], 2, "203.0.113.9:0"),
            (&["evil, 203.0.113.9,10.0.0.5"], 3, PEER),
            (&["1.2.3.4", "5.6.7.8"], 1, "5.6.7.8:0"),
            (&["1.2.3.4", "5.6.7.8"], 2, "1.2.3.4:0"),
            (&["junk"], 1, PEER),
            (&["1.2.3.4,"], 1, PEER),
            (&["1.2.3.4, "], 1, PEER),
            (&[",1.2.3.4"], 1, "1.2.3.4:0"),
            (&["1.2.3.4:80"], 1, PEER),
            (&["01.2.3.4"], 1, PEER),
            (&["[2001:db8::1]"], 1, PEER),
            (&["2001:DB8:0:0::1"], 1, "[2001:db8::1]:0"),
            (&["::ffff:1.2.3.4"], 1, "[::ffff:1.2.3.4]:0"),
        ];
        for (values, trusted_hops, client) in lines {
            let fields: Vec<_> = values
                .iter()
                .map(|value| ("x-forwarded-for", *value))
                .collect();
            let (_, origin) = rewritten(&fields, false, trusted_hops);
            assert_eq!(
                origin.client.to_string(),
                client,
                "{values:?}, {trusted_hops}"
            );
        }
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
    fn the_plugins_word_on_the_public_host_stands() {
        let mut headers = HeaderMap::new();
        set_host(&mut headers, HeaderValue::from_static("app.test"));
        assert_eq!(headers["x-forwarded-host"], "app.test");
        set_host(&mut headers, HeaderValue::from_static("other.test"));
        assert_eq!(headers["x-forwarded-host"], "app.test");
    }
}
