//! From the path of a problem to the text that it is about.

use jetway_core::config::Problem;
use serde_json::Value;

use super::{Finding, Report, RouteName, Severity};
use crate::config::document::{Place, Spot};
use crate::config::environment::called;
use crate::config::secret_file;
use crate::config::source::Source;

/// Which part of a place is underlined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum About {
    /// The key: it is unknown, has no effect, or may not be there.
    Key,
    /// What stands behind it, if that is not a whole block.
    Value,
}

impl Report {
    /// Names the source of the key `policy`, when that is not the file.
    pub(in crate::config) fn routes_from(&mut self, source: Source) {
        self.sources.push(source);
        self.routes = Some(self.sources.len() - 1);
    }

    /// Names an environment variable that stands for a key of the file, such as `DOWNSTREAM_MTLS_CA`.
    pub(in crate::config) fn overridden_by(&mut self, variable: String) {
        self.variables.push(variable);
    }

    /// Adds a problem or warning, at its place. `file` is what the paths lead through.
    pub(in crate::config) fn note(
        &mut self,
        severity: Severity,
        problem: Problem,
        about: About,
        file: &Value,
    ) {
        let (source, place) = self.locate(&problem.path, about);
        self.findings.push(Finding {
            severity,
            route: RouteName::of(&problem.path, file),
            path: problem.path,
            message: problem.message,
            help: problem.help,
            source,
            place,
        });
    }

    fn locate(&mut self, path: &str, about: About) -> (usize, Option<Place>) {
        let name = path.replace('.', "_").to_ascii_uppercase();
        if self.variables.contains(&name) {
            self.sources.push(Source::hidden(called(&name)));
            return (self.sources.len() - 1, None);
        }
        let (number, path) = match self.routes.zip(path.strip_prefix("policy")) {
            Some((number, rest)) => (number, rest),
            None => (0, path),
        };
        let source = self.sources.get(number);
        let spot = source.and_then(|source| {
            let of_file = || source.spot(&secret_file::file_key(path)?);
            source.spot(path).or_else(of_file)
        });
        (number, spot.map(|spot| about.place(spot)))
    }
}

impl About {
    fn place(self, spot: Spot) -> Place {
        match spot.value {
            Some(value) if spot.complete && self == Self::Value => value,
            _ => spot.key,
        }
    }
}
