//! Finding a request's route: the host decides first, then the order of the file.

mod path_index;
mod prefix_table;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::config::{From, Route};
use crate::http::request::Authority;
use path_index::PathIndex;
use prefix_table::PrefixTable;

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

/// Places of routes by host, port and path, so that no request's work grows with the number of routes. It answers as if the
/// routes were tried in the order of the file.
#[derive(Debug)]
pub(super) struct RouteIndex {
    /// The listener's own port, by which browsers may come to a route whose `from` names none.
    listening: u16,
    /// By host, for hosts without `*`.
    exact: FxHashMap<String, HostRoutes>,
    /// For hosts with `*`: by what follows the last one, backwards, and then by what precedes the first one.
    wildcard: Option<PrefixTable<PrefixTable<Vec<WildcardRoutes>>>>,
}

/// The routes of one host, by the port of their `from`.
#[derive(Debug)]
struct HostRoutes {
    by_port: Vec<(Option<u16>, PathIndex)>,
}

/// The routes of one host with `*`.
#[derive(Debug)]
struct WildcardRoutes {
    /// The `from` of the first of them.
    from: From,
    routes: HostRoutes,
}

impl RouteIndex {
    pub(super) fn new(routes: &[Route], listening: u16) -> Self {
        let mut hosts = BTreeMap::<&str, Vec<usize>>::new();
        for (place, route) in routes.iter().enumerate() {
            hosts.entry(&route.from.host).or_default().push(place);
        }
        let (wildcard, exact): (Vec<_>, Vec<_>) =
            hosts.into_iter().partition(|(host, _)| host.contains('*'));
        let exact = exact.into_iter().map(|(host, places)| {
            let here = HostRoutes::new(routes, &places);
            (host.to_owned(), here)
        });
        Self {
            listening,
            exact: exact.collect(),
            wildcard: (!wildcard.is_empty()).then(|| index_wildcards(routes, wildcard)),
        }
    }

    /// Whether any route is for this host, and by this port.
    pub(super) fn origin(&self, authority: &Authority<'_>) -> KnownOrigin {
        let (host, port) = (&*authority.host, authority.port.unwrap_or(HTTPS));
        let mut known = KnownOrigin::No;
        self.any_host(host, |here| {
            let mut ports = here.by_port.iter();
            known = KnownOrigin::OtherPort;
            if ports.any(|(own, _)| self.has_port(*own, port)) {
                known = KnownOrigin::Yes;
            }
            known == KnownOrigin::Yes
        });
        known
    }

    /// Whether a route's address is meant by this host and port.
    pub(super) fn serves(&self, from: &From, host: &str, port: u16) -> bool {
        self.has_port(from.port, port) && from.fits(host)
    }

    /// Whether a port of `from` is meant by this port. An address without a port is that of `https`, and of the listener for
    /// browsers that come to it directly: on any other port of the host another program may listen.
    fn has_port(&self, own: Option<u16>, port: u16) -> bool {
        match own {
            Some(own) => port == own,
            None => port == HTTPS || port == self.listening,
        }
    }

    /// The place of the route of a request. A host that stands in the file itself never falls through to a wildcard.
    pub(super) fn find(
        &self,
        routes: &[Route],
        host: &str,
        port: u16,
        path: &str,
    ) -> Option<usize> {
        let mut first: Option<usize> = None;
        self.any_host(host, |here| {
            let by_port = here.by_port.iter();
            let served = by_port.filter(|(own, _)| self.has_port(*own, port));
            let found = served.filter_map(|(_, paths)| paths.find(routes, path));
            first = first.into_iter().chain(found).min();
            false
        });
        first
    }

    /// Visits the routes of each host of the file that a host matches, until `visit` returns `true`.
    fn any_host(&self, host: &str, mut visit: impl FnMut(&HostRoutes) -> bool) {
        if let Some(here) = self.exact.get(host) {
            visit(here);
            return;
        }
        let Some(wildcard) = &self.wildcard else {
            return;
        };
        let backwards = reverse(host);
        let by_head = wildcard.matches(&backwards);
        let mut candidates = by_head
            .flat_map(|heads| heads.matches(host))
            .flatten()
            .filter(|candidate| candidate.from.fits(host));
        candidates.any(|candidate| visit(&candidate.routes));
    }
}

impl HostRoutes {
    /// Indexes the routes at these places, which have one host and are in the order of the file.
    fn new(routes: &[Route], places: &[usize]) -> Self {
        let mut ports = BTreeMap::<Option<u16>, Vec<usize>>::new();
        for &place in places {
            if let Some(route) = routes.get(place) {
                ports.entry(route.from.port).or_default().push(place);
            }
        }
        let by_port = ports
            .into_iter()
            .map(|(port, places)| (port, PathIndex::new(routes, &places)));
        Self {
            by_port: by_port.collect(),
        }
    }
}

fn index_wildcards(
    routes: &[Route],
    hosts: Vec<(&str, Vec<usize>)>,
) -> PrefixTable<PrefixTable<Vec<WildcardRoutes>>> {
    let mut tails = BTreeMap::<String, BTreeMap<String, Vec<WildcardRoutes>>>::new();
    for (host, places) in hosts {
        let first = places.first().and_then(|&place| routes.get(place));
        let (Some(first), Some((head, _)), Some((_, tail))) =
            (first, host.split_once('*'), host.rsplit_once('*'))
        else {
            continue;
        };
        let heads = tails.entry(reverse(tail)).or_default();
        heads
            .entry(head.to_owned())
            .or_default()
            .push(WildcardRoutes {
                from: first.from.clone(),
                routes: HostRoutes::new(routes, &places),
            });
    }
    let tails = tails.into_iter();
    PrefixTable::new(
        tails
            .map(|(tail, heads)| (tail, PrefixTable::new(heads)))
            .collect(),
    )
}

fn reverse(text: &str) -> String {
    text.chars().rev().collect()
}

#[cfg(test)]
mod tests;
