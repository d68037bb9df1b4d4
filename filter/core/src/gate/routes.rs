//! Finding a request's route: the host decides first, then the order of the file.

use std::collections::HashMap;

use crate::config::Route;

/// Places of routes by host, so that no request's work grows with the number of hosts.
#[derive(Debug)]
pub(super) struct RouteIndex {
    /// By host, for hosts without `*`; in the order of the file.
    exact: HashMap<String, Vec<usize>>,
    /// By [`anchor`], for hosts with `*`; in the order of the file.
    wildcard: HashMap<String, Vec<usize>>,
}

impl RouteIndex {
    pub(super) fn new(routes: &[Route]) -> Self {
        let mut index = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
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

    /// Whether any route is for this host.
    pub(super) fn knows(&self, routes: &[Route], host: &str) -> bool {
        self.first(routes, host, |_| true).is_some()
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
            route.from.port.is_none_or(|own| own == port) && route.path.serves(path)
        })
    }

    fn first(
        &self,
        routes: &[Route],
        host: &str,
        serves: impl Fn(&Route) -> bool,
    ) -> Option<usize> {
        let earliest = |places: &[usize], fits: &dyn Fn(&Route) -> bool| {
            places
                .iter()
                .copied()
                .find(|&place| routes.get(place).is_some_and(fits))
        };
        if let Some(places) = self.exact.get(host) {
            return earliest(places, &serves);
        }
        if self.wildcard.is_empty() {
            return None;
        }
        let fits = |route: &Route| is_like(host, &route.from.host) && serves(route);
        anchors(host)
            .filter_map(|anchor| earliest(self.wildcard.get(anchor)?, &fits))
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

/// Whether a host fits a pattern in which each `*` stands for any text, the empty one and dots included.
fn is_like(host: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = host.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        for (pattern, host, expected) in [
            ("*.app.test", "a.app.test", true),
            ("*.app.test", "a.b.app.test", true),
            ("*.app.test", ".app.test", true),
            ("*.app.test", "app.test", false),
            ("*.app.test", "a.app.test.evil", false),
            ("*", "anything.test", true),
            ("*app.test", "app.test", true),
            ("*app.test", "evilapp.test", true),
            ("a-*.app.test", "a-1.app.test", true),
            ("a-*.app.test", "b-1.app.test", false),
            ("a*.*b.test", "a.b.test", true),
            ("a*.*b.test", "ab.test", false),
            ("app.*", "app.test", true),
            ("*-x.app.test", "1-x.app.test", true),
            ("*aa", "a", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("app.test", "app.test", true),
            ("app.test", "app.test.", false),
        ] {
            assert_eq!(is_like(host, pattern), expected, "{pattern} {host}");
        }
    }

    proptest! {
        /// The index of anchors leaves out no pattern that fits.
        #[test]
        fn an_anchor_is_never_missed(pattern in "[ab.*]{0,6}\\*[ab.*]{0,6}", host in "[ab.]{1,10}") {
            if is_like(&host, &pattern) {
                let anchor = anchor(&pattern).unwrap();
                prop_assert!(anchors(&host).any(|one| one == anchor), "{}", anchor);
            }
        }

        /// `*` is the regular expression `.*`.
        #[test]
        fn patterns_are_expressions(pattern in "[ab.*]{0,8}", host in "[ab.]{0,10}") {
            let expression = format!("^{}$", pattern.replace('.', "\\.").replace('*', ".*"));
            let expected = regex_lite::Regex::new(&expression).unwrap().is_match(&host);
            prop_assert_eq!(is_like(&host, &pattern), expected);
        }
    }
}
