//! A visitor's request as an upstream gets it from this proxy.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, header};
use http_body_util::Full;
use jetway_core::config::{Endpoint, HostHeader, Origin, PathMatch, Route};
use jetway_core::gate::{upstream_host, upstream_target};
use jetway_proxy::upstream::Connector;

use super::answer::{Answer, Silence, ask};

/// Any 16 bytes in base64 (RFC 6455, 4.1): nothing that needs the key is read.
const WEBSOCKET_KEY: &str = "amV0d2F5LWRvY3Rvci4uLg==";
/// Bytes of a page that are read: what Cockpit's login page says about itself stands in the first thousand.
const MAX_PAGE: usize = 64 * 1024;
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// One route to one of its upstreams, for visitors at one public address.
pub(super) struct Visit<'a> {
    pub(super) route: &'a Route,
    pub(super) endpoint: &'a Endpoint,
    /// The origin of the pages that visitors see.
    pub(super) public: Origin,
    /// What the upstream is told about how visitors come: `https`, or `http` if Jetway does not know better.
    pub(super) proto: &'static str,
    pub(super) connector: Connector,
}

impl Visit<'_> {
    /// The path by which a visitor asks for one below the application's root; `path` begins with a slash.
    fn public_path(&self, path: &str) -> String {
        let root = match &self.route.path {
            PathMatch::Prefix(prefix) => prefix.trim_end_matches('/'),
            PathMatch::Any | PathMatch::Exact(_) | PathMatch::Regex(_) => "",
        };
        format!("{root}{path}")
    }

    /// The path that the upstream sees for one below the application's root; `path` begins with a slash.
    pub(super) fn path(&self, path: &str) -> String {
        let asked = self.public_path(path);
        // A path that the proxy refuses is asked for as the root: the answer is then the application's.
        upstream_target(self.route, &asked).map_or_else(|_| "/".to_owned(), Cow::into_owned)
    }

    /// The `Host` that the upstream sees with a path below the application's root.
    pub(super) fn host(&self, path: &str) -> String {
        // Without the header that a route takes the host from, which browsers do not send.
        let written = upstream_host(self.route, &self.public_path(path), |_| None);
        match written.ok().flatten() {
            Some(host) => String::from_utf8_lossy(&host).into_owned(),
            None if matches!(self.route.host, HostHeader::Upstream) => {
                self.endpoint.origin.authority()
            }
            None => self.public.authority(),
        }
    }

    /// Whether the upstream sees another host than visitors do.
    pub(super) fn rewrites_host(&self) -> bool {
        self.host("/") != self.public.authority()
    }

    /// The headers that say where the request comes from, and those that the route sets and removes.
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

    /// Takes out and adds what the route says: the last that happens to a request.
    pub(super) fn edit(&self, headers: &mut HeaderMap) {
        for name in &self.route.request_headers.remove {
            headers.remove(name.as_str());
        }
        for (name, value) in &self.route.request_headers.set {
            // What depends on the visitor is unknown here.
            if let (Ok(name), Some(value)) = (HeaderName::try_from(name), value.literal()) {
                insert(headers, name, value);
            }
        }
    }

    /// A page below the application's root, as a visitor asks for it.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, Silence> {
        self.get_with(path, HeaderMap::new()).await
    }

    /// The same with more headers.
    pub(super) async fn get_with(&self, path: &str, more: HeaderMap) -> Result<Answer, Silence> {
        let mut headers = self.headers(path);
        headers.extend(more);
        self.edit(&mut headers);
        self.send(path, headers).await
    }

    /// A websocket handshake with this origin, as a browser at the public address sends it.
    pub(super) async fn handshake(&self, path: &str, origin: &str) -> Result<Answer, Silence> {
        let mut headers = self.headers(path);
        upgrade(&mut headers, origin);
        self.edit(&mut headers);
        self.send(path, headers).await
    }

    /// A websocket handshake that this proxy would not send: with this `Host`, over https, and without the route's edits.
    pub(super) async fn handshake_as(
        &self,
        path: &str,
        host: &str,
        origin: &str,
    ) -> Result<Answer, Silence> {
        let mut headers = self.headers(path);
        insert(&mut headers, header::HOST, host);
        insert(&mut headers, FORWARDED_PROTO, "https");
        upgrade(&mut headers, origin);
        self.send(path, headers).await
    }

    async fn send(&self, path: &str, headers: HeaderMap) -> Result<Answer, Silence> {
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

/// Text that cannot stand in a header is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use jetway_core::config::Target;

    use super::super::testing;
    use super::*;
    use jetway_proxy::tls::{Roots, Trust};

    /// Path and host of the upstream for a path below the root of the application of one route.
    fn asked(route: &str, path: &str) -> (String, String) {
        let file = testing::file(&format!(
            "insecure_server: true\nroutes:\n  - {{from: https://app.test, to: http://127.0.0.1:1, allow_public_unauthenticated_access: true, {route}}}\n"
        ));
        let inspection = file.inspect();
        let config = inspection.config().unwrap();
        let route = &config.routes[0];
        let Target::Upstreams(upstreams) = &route.target else {
            panic!("no upstream")
        };
        let endpoint = &upstreams.endpoints[0];
        let visit = Visit {
            route,
            endpoint,
            public: crate::cockpit::public_origin(config, route),
            proto: "https",
            connector: Connector::new(&endpoint.origin, &Trust::System, &Roots::default()).unwrap(),
        };
        (visit.path(path), visit.host(path))
    }

    /// The upstream is asked by the path that the proxy would ask it by.
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

    /// A host that is made of the path is made of the path that the visitor asks for.
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
