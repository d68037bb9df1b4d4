//! What is examined.

use std::path::Path;

use jetway_core::config::{Config, Route};

use super::finding::Change;
use jetway_config_file::{Inspection, route_path};

/// A configuration file and what is known about this machine.
pub(crate) struct Subject<'a> {
    /// The file's name, as the person wrote it.
    pub(crate) name: &'a str,
    pub(crate) inspection: &'a Inspection,
    pub(crate) config: &'a Config,
    /// Where Cockpit's own configuration is, if Cockpit runs on this machine.
    pub(crate) cockpit_conf: &'a Path,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

impl Subject<'_> {
    /// What findings call a route.
    pub(super) fn called(route: &Route) -> String {
        format!("route `{}`", route.name)
    }

    /// Where a key of a route stands, or the route if it has none of that name.
    pub(super) fn line_of_route(&self, index: usize, key: &str) -> Option<usize> {
        let route = route_path(index, self.inspection.file());
        self.line_of(&format!("{route}.{key}"))
    }

    fn line_of(&self, path: &str) -> Option<usize> {
        usize::try_from(self.inspection.line_of(path)?).ok()
    }

    /// A change of a route, which begins at this key's line.
    pub(super) fn in_route(&self, index: usize, key: &str, what: &str) -> Change {
        Change::file(self.name, self.line_of_route(index, key), what)
    }

    /// A change of a key at the top of the file.
    pub(super) fn at_top(&self, key: &str, what: &str) -> Change {
        Change::file(self.name, self.line_of(key), what)
    }
}
