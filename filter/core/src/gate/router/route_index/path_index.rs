//! Finds the first of some routes that serves a path.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::prefix_table::PrefixTable;
use crate::config::{PathMatch, Route};

/// Places of routes by their paths. Of the routes with the same path or prefix it keeps the first, which hides the others.
///
/// The work of a lookup does not grow with the number of routes, except of those with a regular expression: each that comes
/// before the first other match has to be tried.
#[derive(Debug)]
pub(super) struct PathIndex {
    exact: FxHashMap<String, usize>,
    prefixes: PrefixTable<usize>,
    /// Routes with a regular expression, in the order of the file.
    regexes: Vec<usize>,
    /// The first route for every path.
    any: Option<usize>,
}

impl PathIndex {
    /// Builds an index of the routes at these places, which are in the order of the file.
    pub(super) fn new(routes: &[Route], places: &[usize]) -> Self {
        let mut exact = FxHashMap::default();
        let mut prefixes = BTreeMap::new();
        let (mut regexes, mut any) = (Vec::new(), None);
        for &place in places {
            match routes.get(place).map(|route| &route.path) {
                Some(PathMatch::Exact(path)) => {
                    exact.entry(path.clone()).or_insert(place);
                }
                Some(PathMatch::Prefix(prefix)) => {
                    prefixes.entry(prefix.clone()).or_insert(place);
                }
                Some(PathMatch::Regex(_)) => regexes.push(place),
                Some(PathMatch::Any) => {
                    any = Some(place);
                    // It hides all that follow.
                    break;
                }
                None => {}
            }
        }
        Self {
            exact,
            prefixes: PrefixTable::new(prefixes),
            regexes,
            any,
        }
    }

    /// Returns the place of the first route, in the order of the file, that serves a path.
    pub(super) fn find(&self, routes: &[Route], path: &str) -> Option<usize> {
        let exact = self.exact.get(path).copied();
        let prefixes = self.prefixes.matches(path).copied();
        let first = prefixes.chain(exact).chain(self.any).min();
        let mut earlier = self
            .regexes
            .iter()
            .copied()
            .take_while(|&place| first.is_none_or(|first| place < first));
        let serves = |place: &usize| {
            let route = routes.get(*place);
            route.is_some_and(|route| route.path.serves(path))
        };
        earlier.find(serves).or(first)
    }
}
