//! Requests to an upstream as this proxy sends them.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, header};
use http_body_util::Full;
use jetway_core::config::{Endpoint, HostHeader, Origin, PathMatch, Route};
use jetway_core::gate::{upstream_host, upstream_target};
use jetway_proxy::upstream::Connector;

use super::Subject;
use super::answer::{Answer, ProbeError, ask};
use super::finding::Change;

/// Any 16 bytes in base64 (RFC 6455, 4.1): the accepted key is not verified.
const WEBSOCKET_KEY: &str = "amV0d2F5LWRvY3Rvci4uLg==";
/// Most bytes of a page that are read: the settings in Cockpit's login page are in the first thousand.
const MAX_PAGE: usize = 64 * 1024;
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// One route to one of its upstreams, with one public origin.
pub(super) struct UpstreamProbe<'a> {
    pub(super) subject: &'a Subject<'a>,
    /// The name of the route and its upstream in findings.
    pub(super) about: String,
    /// The index of the route in the configuration.
    pub(super) index: usize,
    pub(super) route: &'a Route,
    pub(super) endpoint: &'a Endpoint,
    /// The origin of the pages in the browser.
    pub(super) public: Origin,
    /// The `X-Forwarded-Proto` of the requests.
    pub(super) proto: &'static str,
    pub(super) connector: Connector,
}

impl UpstreamProbe<'_> {
    /// Creates a change of the route at this key's line.
    pub(super) fn in_route(&self, key: &str, what: &str) -> Change {
        self.subject.in_route(self.index, key, what)
    }

    /// Returns the public path of a path below the application's root; `path` begins with a slash.
    pub(super) fn public_path(&self, path: &str) -> String {
        let root = match &self.route.path {
            PathMatch::Prefix(prefix) => prefix.trim_end_matches('/'),
            PathMatch::Any | PathMatch::Exact(_) | PathMatch::Regex(_) => "",
        };
        format!("{root}{path}")
    }

    /// Returns the path at the upstream of a path below the application's root; `path` begins with a slash.
    pub(super) fn path(&self, path: &str) -> String {
        let asked = self.public_path(path);
        // A path that the proxy refuses is replaced by the root, so that the application answers.
        upstream_target(self.route, &asked).map_or_else(|_| "/".to_owned(), Cow::into_owned)
    }

    /// Returns the `Host` that the upstream gets with a path below the application's root.
    pub(super) fn host(&self, path: &str) -> String {
        // Browsers do not send the header from which a route may take the host.
        let written = upstream_host(self.route, &self.public_path(path), |_| None);
        match written.ok().flatten() {
            Some(host) => String::from_utf8_lossy(&host).into_owned(),
            None if matches!(self.route.host, HostHeader::Upstream) => {
                self.endpoint.origin.authority()
            }
            None => self.public.authority(),
        }
    }

    /// Whether the upstream gets another host than the public one.
    pub(super) fn rewrites_host(&self) -> bool {
        self.host("/") != self.public.authority()
    }

    /// Returns the headers that describe the origin of the request.
    pub(super) fn headers(&self, path: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        insert(&mut headers, header::HOST, &self.host(path));
        insert(&mut headers, FORWARDED_PROTO, self.proto);
        insert(&mut headers, FORWARDED_FOR, "127.0.0.1");
        if matches!(self.route.host, HostHeader::Upstream) {
            insert(&mut headers, FORWARDED_HOST, &self.public.authority());
        }
        headers
    }

    /// Removes and sets the headers of the route, which is the last step of a request.
    pub(super) fn edit(&self, headers: &mut HeaderMap) {
        for name in &self.route.request_headers.remove {
            headers.remove(name.as_str());
        }
        for (name, value) in &self.route.request_headers.set {
            // Values that depend on the user are unknown here.
            if let (Ok(name), Some(value)) = (HeaderName::try_from(name), value.literal()) {
                insert(headers, name, value);
            }
        }
    }

    /// Requests a page below the application's root.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, ProbeError> {
        self.get_with(path, HeaderMap::new()).await
    }

    /// As [`Self::get`], with more headers.
    pub(super) async fn get_with(&self, path: &str, more: HeaderMap) -> Result<Answer, ProbeError> {
        let mut headers = self.headers(path);
        headers.extend(more);
        self.edit(&mut headers);
        self.send(path, headers).await
    }

    /// Sends a WebSocket handshake with this origin, as a browser at the public origin does.
    pub(super) async fn handshake(&self, path: &str, origin: &str) -> Result<Answer, ProbeError> {
        let mut headers = self.headers(path);
        upgrade(&mut headers, origin);
        self.edit(&mut headers);
        self.send(path, headers).await
    }

    /// Sends a WebSocket handshake that this proxy would not send: with this `Host`, over https, and without the route's
    /// edits.
    pub(super) async fn handshake_as(
        &self,
        path: &str,
        host: &str,
        origin: &str,
    ) -> Result<Answer, ProbeError> {
        let mut headers = self.headers(path);
        insert(&mut headers, header::HOST, host);
        insert(&mut headers, FORWARDED_PROTO, "https");
        upgrade(&mut headers, origin);
        self.send(path, headers).await
    }

    async fn send(&self, path: &str, headers: HeaderMap) -> Result<Answer, ProbeError> {
        let mut request = Request::new(Full::<Bytes>::default());
        *request.uri_mut() = self.path(path).parse().unwrap_or_default();
        *request.headers_mut() = headers;
        ask(&self.connector, request, MAX_PAGE).await
    }
}

fn upgrade(headers: &mut HeaderMap, origin: &str) {
    for (name, value) in [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
        (header::SEC_WEBSOCKET_KEY, WEBSOCKET_KEY),
        (header::SEC_WEBSOCKET_PROTOCOL, "cockpit1"),
        (header::ORIGIN, origin),
    ] {
        insert(headers, name, value);
    }
}

/// Inserts a header, unless the value is invalid in one.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing;

    /// Returns path and host at the upstream for a path below the root of the application of one route.
    fn asked(route: &str, path: &str) -> (String, String) {
        testing::with_probe(route, |probe| (probe.path(path), probe.host(path)))
    }

    /// The path is the one that the proxy would send.
    #[test]
    fn paths_are_those_of_the_proxy() {
        for (route, expected) in [
            ("prefix: /a, prefix_rewrite: /b/", "/b//x"),
            ("prefix: /a/, prefix_rewrite: /b/", "/b/x"),
            ("prefix: /a, prefix_rewrite: /b", "/b/x"),
            ("prefix: /a", "/a/x"),
            ("path: /a, prefix_rewrite: /b", "/b"),
            (
                "prefix: /a, regex_rewrite_pattern: ^/a/(.*)$, regex_rewrite_substitution: /c/\\1",
                "/c/x",
            ),
        ] {
            assert_eq!(asked(route, "/x").0, expected, "{route}");
        }
    }

    /// A host that is built from the path is built from the public path.
    #[test]
    fn hosts_are_those_of_the_proxy() {
        for (route, expected) in [
            ("prefix: /a", "127.0.0.1:1"),
            ("preserve_host_header: true", "app.test"),
            ("host_rewrite: other.test", "other.test"),
            (
                "prefix: /a, prefix_rewrite: /b, host_path_regex_rewrite_pattern: ^/(a)/.*$, host_path_regex_rewrite_substitution: \\1.test",
                "a.test",
            ),
        ] {
            assert_eq!(asked(route, "/x").1, expected, "{route}");
        }
    }
}
