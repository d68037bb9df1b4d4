//! Finds where a request leads: the host decides first, then the order of the routes.

mod route_index;

use crate::config::{Listener, PathMatch, Route, RouteNumber, SignInHost};
use crate::gate::endpoints::{is_health_path, is_own_path};
use crate::gate::header_rules::HeaderRules;
use crate::http::client_certificate::{CertificateReader, Shown};
use crate::http::path::without_parameters;
use crate::http::request::{Authority, KnownNames, Parsed, Request};
use crate::refusal::Refusal;
use route_index::{HTTPS, KnownOrigin, RouteIndex};

/// The routes of a configuration, and the rules by which a request is read.
#[derive(Debug)]
pub(super) struct Router {
    routes: Vec<Route>,
    index: RouteIndex,
    /// The header rules of each route, in the order of `routes`.
    rules: Vec<HeaderRules>,
    sign_in_host: Option<SignInHost>,
    known: KnownNames,
    certificates: CertificateReader,
}

/// The route of a request, which does not depend on its user.
#[derive(Debug)]
pub(super) enum Destination<'g> {
    /// To an endpoint of the proxy itself.
    OwnEndpoint,
    /// To a route.
    Route(MatchedRoute<'g>),
    /// Nowhere: no route has this host and path.
    Nothing,
    /// Nowhere: routes have this host, but by other ports.
    OtherPort,
    /// To different places, depending on whether a server reads what follows a `;` as a parameter.
    Ambiguous,
}

impl Destination<'_> {
    /// Returns whether both lead to the same place.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Route(one), Self::Route(other)) => one.number == other.number,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }
}

/// The route of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct MatchedRoute<'g> {
    pub(super) number: RouteNumber,
    pub(super) route: &'g Route,
    pub(super) rules: &'g HeaderRules,
}

impl Router {
    /// Builds a router of the routes, each with its header rules.
    pub(super) fn new(
        routes: Vec<Route>,
        rules: Vec<HeaderRules>,
        listener: &Listener,
        known: KnownNames,
    ) -> Self {
        Self {
            index: RouteIndex::new(&routes, listener.port()),
            routes,
            rules,
            sign_in_host: None,
            known,
            certificates: CertificateReader::new(listener.client_authority.is_some()),
        }
    }

    /// The same router with a host for signing in, which has endpoints and needs no route.
    pub(super) fn with_sign_in_host(self, sign_in_host: Option<SignInHost>) -> Self {
        Self {
            sign_in_host,
            ..self
        }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// See [`Parsed::read`].
    pub(super) fn read<'r>(&self, request: &Request<'r>) -> Result<Parsed<'r>, Refusal> {
        Parsed::read(request, &self.known)
    }

    /// Reads the client certificate of a request.
    pub(super) fn read_certificate(&self, request: &Parsed<'_>) -> Shown {
        self.certificates.read(request.certificate)
    }

    /// Returns all routes, in the order of the file.
    pub(super) fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Returns a route by its number.
    pub(super) fn route(&self, number: RouteNumber) -> Option<&Route> {
        self.routes.get(number.0)
    }

    /// Returns the header rules of a route.
    pub(super) fn rules(&self, number: RouteNumber) -> Option<&HeaderRules> {
        self.rules.get(number.0)
    }

    /// Finds where a request leads.
    ///
    /// Applications disagree about what follows a `;` in a path. Where the two readings lead to different places, the
    /// request leads nowhere.
    pub(super) fn find(&self, request: &Parsed<'_>) -> Destination<'_> {
        let found = self.find_path(request, request.path());
        match without_parameters(request.path()) {
            Some(path) if !found.is_same(&self.find_path(request, &path)) => Destination::Ambiguous,
            _ => found,
        }
    }

    /// Finds where a request would lead if its path were `path`.
    fn find_path(&self, request: &Parsed<'_>, path: &str) -> Destination<'_> {
        if is_health_path(path) {
            return Destination::OwnEndpoint;
        }
        let is_sign_in_host = self.is_sign_in_host(request);
        let known = self.index.origin(&request.authority);
        let is_by_other_port = known == KnownOrigin::OtherPort
            || (known == KnownOrigin::No && self.has_host_of_sign_in(request));
        if is_by_other_port && !is_sign_in_host {
            return Destination::OtherPort;
        }
        if is_own_path(path, is_sign_in_host) {
            return if is_sign_in_host || known == KnownOrigin::Yes {
                Destination::OwnEndpoint
            } else {
                Destination::Nothing
            };
        }
        let (host, port) = host_and_port(&request.authority);
        let place = self.index.find(&self.routes, host, port, path);
        place
            .and_then(|place| self.matched(place))
            .map_or(Destination::Nothing, Destination::Route)
    }

    fn matched(&self, place: usize) -> Option<MatchedRoute<'_>> {
        Some(MatchedRoute {
            number: RouteNumber(place),
            route: self.routes.get(place)?,
            rules: self.rules.get(place)?,
        })
    }

    /// Returns the routes that serve the host of a request, each with a path that it serves.
    pub(super) fn routes_of_host<'g>(
        &'g self,
        request: &'g Parsed<'_>,
    ) -> impl Iterator<Item = (&'g Route, &'g str)> {
        let (host, port) = host_and_port(&request.authority);
        let here = self.routes.iter().enumerate();
        here.filter(move |(_, route)| self.index.serves(&route.from, host, port))
            .filter_map(move |(place, route)| {
                let path = match &route.path {
                    PathMatch::Exact(path) | PathMatch::Prefix(path) => path,
                    PathMatch::Any | PathMatch::Regex(_) => "/",
                };
                // An earlier route may serve the path, or this one may not.
                let first = self.index.find(&self.routes, host, port, path);
                (first == Some(place)).then_some((route, path))
            })
    }

    /// Returns whether a route serves this host by this port.
    pub(super) fn has_origin(&self, authority: &Authority<'_>) -> bool {
        self.index.origin(authority) == KnownOrigin::Yes
    }

    /// Returns whether a request is for the sign-in host, by its port.
    pub(super) fn is_sign_in_host(&self, request: &Parsed<'_>) -> bool {
        let host = self.sign_in_host.as_ref();
        host.is_some_and(|sign_in| sign_in.origin == request.authority.origin())
    }

    /// Returns whether a request is for the name of the sign-in host, by any port.
    fn has_host_of_sign_in(&self, request: &Parsed<'_>) -> bool {
        let host = self.sign_in_host.as_ref();
        host.is_some_and(|sign_in| *sign_in.host == *request.authority.host)
    }

    /// Returns the host for signing in, when there is one for all routes.
    pub(super) fn sign_in_host(&self) -> Option<&SignInHost> {
        self.sign_in_host.as_ref()
    }

    /// Returns whether users of a request's host sign in on another host.
    pub(super) fn signs_in_elsewhere(&self, request: &Parsed<'_>) -> bool {
        self.sign_in_host.is_some() && !self.is_sign_in_host(request)
    }
}

fn host_and_port<'a>(authority: &'a Authority<'_>) -> (&'a str, u16) {
    (&authority.host, authority.port.unwrap_or(HTTPS))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::http::cookie::CookieNames;
    use crate::http::header::Reserved;
    use crate::testing::config;
    use serde_json::json;

    fn router(file: &serde_json::Value) -> Router {
        let config = config(file);
        let rules = config
            .routes
            .iter()
            .map(|route| HeaderRules::of(route, &config.identity));
        let rules = rules.collect();
        let known = KnownNames {
            reserved: Rc::new(Reserved::new(std::iter::empty())),
            cookies: CookieNames::new(&config.session.cookie_name),
        };
        Router::new(config.routes, rules, &config.listener, known)
            .with_sign_in_host(config.session.sign_in_host)
    }

    fn destination(router: &Router, url: &str) -> String {
        let rest = url.strip_prefix("https://").unwrap();
        let (authority, path) = rest.split_at(rest.find('/').unwrap());
        let headers: Vec<(String, Vec<u8>)> = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", authority),
            (":path", path),
        ]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
        .into();
        let parsed = router.read(&Request::new(&headers)).unwrap();
        match router.find(&parsed) {
            Destination::Route(matched) => matched.route.name.clone(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn destinations_by_host_port_and_path() {
        let open = json!({"allow": {"or": [{"accept": true}]}});
        let router = router(&json!({"routes": [
            {"name": "admin", "from": "https://app.test", "path": "/admin", "to": "http://a", "policy": open},
            {"name": "port", "from": "https://app.test:9443", "to": "http://a", "policy": open},
            {"name": "app", "from": "https://app.test", "to": "http://a", "policy": open},
        ]}));
        for (url, expected) in [
            ("https://app.test/", "app"),
            ("https://app.test/admin", "admin"),
            ("https://app.test:9443/admin", "port"),
            ("https://app.test:9999/", "OtherPort"),
            ("https://other.test/", "Nothing"),
            ("https://app.test/.pomerium/sign_in", "OwnEndpoint"),
            ("https://other.test/.pomerium/sign_in", "Nothing"),
            ("https://app.test/admin;x", "Ambiguous"),
        ] {
            assert_eq!(destination(&router, url), expected, "{url}");
        }
    }
}
