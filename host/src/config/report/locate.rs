//! From the path of a problem to the text that it is about.

use jetway_core::diagnostics::Problem;
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

    /// Names environment variables that stand for keys of the file: each key's path, such as `downstream_mtls.ca`, and its
    /// variable.
    pub(in crate::config) fn overridden_by(&mut self, variables: Vec<(String, String)>) {
        self.variables = variables;
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
        self.add(Finding {
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
        if let Some(variable) = self.variable_of(path) {
            let source = Source::hidden(called(variable));
            return (self.add_source(source), None);
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

    /// The environment variable that stands for the key that a path leads to, or for the name of its file.
    fn variable_of(&self, path: &str) -> Option<&str> {
        let of = |path: &str| {
            let mut variables = self.variables.iter();
            variables.find(|(key, _)| leads_into(path, key))
        };
        let found = of(path).or_else(|| of(&secret_file::file_key(path)?));
        found.map(|(_, variable)| variable.as_str())
    }
}

/// Whether a path is that of a key, or leads into its value.
fn leads_into(path: &str, key: &str) -> bool {
    let Some((head, rest)) = path.split_at_checked(key.len()) else {
        return false;
    };
    head.eq_ignore_ascii_case(key) && (rest.is_empty() || rest.starts_with(['.', '[']))
}

impl About {
    fn place(self, spot: Spot) -> Place {
        match spot.value {
            Some(value) if spot.complete && self == Self::Value => value,
            _ => spot.key,
        }
    }
}
