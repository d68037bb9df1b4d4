//! Finding a request's route: the host decides first, then the order of the file.

use rustc_hash::FxHashMap;

use crate::config::{From, Route};
use crate::http::request::Authority;

/// The port of `https` addresses that name none.
pub(super) const HTTPS: u16 = 443;

/// Whether routes have an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownOrigin {
    /// At least one.
    Yes,
    /// Its host, but by other ports.
    OtherPort,
    /// Not even its host.
    No,
}

/// Places of routes by host, so that no request's work grows with the number of hosts.
#[derive(Debug)]
pub(super) struct RouteIndex {
    /// The listener's own port, by which browsers may come to a route whose `from` names none.
    listening: u16,
    /// By host, for hosts without `*`; in the order of the file.
    exact: FxHashMap<String, Vec<usize>>,
    /// By [`anchor`], for hosts with `*`; in the order of the file.
    wildcard: FxHashMap<String, Vec<usize>>,
}

impl RouteIndex {
    pub(super) fn new(routes: &[Route], listening: u16) -> Self {
        let mut index = Self {
            listening,
            exact: FxHashMap::default(),
            wildcard: FxHashMap::default(),
        };
        for (place, route) in routes.iter().enumerate() {
            let host = &route.from.host;
            let (hosts, key) = match anchor(host) {
                Some(anchor) => (&mut index.wildcard, anchor),
                None => (&mut index.exact, host.as_str()),
            };
            hosts.entry(key.to_owned()).or_default().push(place);
        }
        index
    }

    /// Whether any route is for this host, and by this port.
    pub(super) fn origin(&self, routes: &[Route], authority: &Authority<'_>) -> KnownOrigin {
        let (host, port) = (&*authority.host, authority.port.unwrap_or(HTTPS));
        let by_port = |route: &Route| self.serves(&route.from, host, port);
        if self.first(routes, host, by_port).is_some() {
            return KnownOrigin::Yes;
        }
        let by_any = |route: &Route| route.from.fits(host);
        match self.first(routes, host, by_any) {
            Some(_) => KnownOrigin::OtherPort,
            None => KnownOrigin::No,
        }
    }

    /// Whether a route's address is meant by this host and port. An address without a port is that of `https`, and of the
    /// listener for browsers that come to it directly: on any other port of the host another program may listen.
    pub(super) fn serves(&self, from: &From, host: &str, port: u16) -> bool {
        let is_own = match from.port {
            Some(own) => port == own,
            None => port == HTTPS || port == self.listening,
        };
        is_own && from.fits(host)
    }

    /// The place of the route of a request. A host that stands in the file itself never falls through to a wildcard.
    pub(super) fn find(
        &self,
        routes: &[Route],
        host: &str,
        port: u16,
        path: &str,
    ) -> Option<usize> {
        self.first(routes, host, |route| {
            self.serves(&route.from, host, port) && route.path.serves(path)
        })
    }

    fn first(
        &self,
        routes: &[Route],
        host: &str,
        serves: impl Fn(&Route) -> bool,
    ) -> Option<usize> {
        let earliest = |places: &Vec<usize>| {
            let mut places = places.iter().copied();
            places.find(|&place| routes.get(place).is_some_and(&serves))
        };
        if let Some(places) = self.exact.get(host) {
            return earliest(places);
        }
        if self.wildcard.is_empty() {
            return None;
        }
        anchors(host)
            .filter_map(|anchor| earliest(self.wildcard.get(anchor)?))
            .min()
    }
}

/// The whole labels behind the last `*` of a pattern: every host that fits it ends with a dot and these, or the anchor is
/// empty. `None` for a host without `*`.
fn anchor(pattern: &str) -> Option<&str> {
    let (_, tail) = pattern.rsplit_once('*')?;
    Some(tail.split_once('.').map_or("", |(_, labels)| labels))
}

/// Every anchor that a pattern for this host may have.
fn anchors(host: &str) -> impl Iterator<Item = &str> {
    let labels = host
        .match_indices('.')
        .filter_map(|(dot, _)| host.get(dot + 1..));
    labels.filter(|labels| !labels.is_empty()).chain([""])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::From;
    use proptest::prelude::*;

    #[test]
    fn anchors_are_whole_labels() {
        for (pattern, expected) in [
            ("app.test", None),
            ("*", Some("")),
            ("app.*", Some("")),
            ("*.app.test", Some("app.test")),
            ("*app.test", Some("test")),
            ("a*.*-b.app.test", Some("app.test")),
        ] {
            assert_eq!(anchor(pattern), expected, "{pattern}");
        }
        let of_host: Vec<&str> = anchors("a.app.test").collect();
        assert_eq!(of_host, ["app.test", "test", ""]);
    }

    proptest! {
        /// The index leaves out no pattern that fits.
        #[test]
        fn an_anchor_is_never_missed(pattern in "[ab.*]{0,6}\\*[ab.*]{0,6}", host in "[ab.]{1,10}") {
            let from = From { host: pattern, port: None };
            if from.fits(&host) {
                let anchor = anchor(&from.host).unwrap();
                prop_assert!(anchors(&host).any(|one| one == anchor), "{}", anchor);
            }
        }
    }
}
