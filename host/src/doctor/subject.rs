//! The deployment that is examined.

use std::path::Path;

use jetway_core::config::{Config, Route};

use super::finding::Change;
use jetway_config_file::{Inspection, route_path};

/// A configuration file and the facts about this machine.
pub(crate) struct Subject<'a> {
    /// The file's name, as on the command line.
    pub(crate) name: &'a str,
    pub(crate) inspection: &'a Inspection,
    pub(crate) config: &'a Config,
    /// The path of Cockpit's own configuration, if Cockpit runs on this machine.
    pub(crate) cockpit_conf: &'a Path,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

impl Subject<'_> {
    /// Returns the name of a route in findings.
    pub(super) fn describe_route(route: &Route) -> String {
        format!("route `{}`", route.name)
    }

    /// Returns the line of a route's key, or of the route if it does not have the key.
    pub(super) fn line_of_route(&self, index: usize, key: &str) -> Option<usize> {
        let route = route_path(index, self.inspection.file());
        self.line_of(&format!("{route}.{key}"))
    }

    fn line_of(&self, path: &str) -> Option<usize> {
        usize::try_from(self.inspection.line_of(path)?).ok()
    }

    /// Creates a change of a route at this key's line.
    pub(super) fn in_route(&self, index: usize, key: &str, what: &str) -> Change {
        Change::file(self.name, self.line_of_route(index, key), what)
    }

    /// Creates a change of a key at the top of the file.
    pub(super) fn at_top(&self, key: &str, what: &str) -> Change {
        Change::file(self.name, self.line_of(key), what)
    }
}
