//! Finds the place of a problem from its path.

use jetway_core::diagnostics::Problem;
use serde_json::Value;

use super::{Finding, Report, RouteName, Severity};
use crate::document::{Location, Place};
use crate::environment::describe_variable;
use crate::secret_file;
use crate::source::Source;

/// The part of a place that is underlined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The key: it is unknown, has no effect, or may not be there.
    Key,
    /// The value, if that is not a whole block.
    Value,
}

impl Report {
    /// Sets the source of the key `policy`, when that is not the file.
    pub(crate) fn routes_from(&mut self, source: Source) {
        self.sources.push(source);
        self.routes = Some(self.sources.len() - 1);
    }

    /// Sets the environment variables that replace keys of the file: each key's path, such as `downstream_mtls.ca`, and its
    /// variable.
    pub(crate) fn overridden_by(&mut self, variables: Vec<(String, String)>) {
        self.variables = variables;
    }

    /// Adds a problem or warning at its place. `file` is the document that the paths refer to.
    pub(crate) fn note(
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
            let source = Source::hidden(describe_variable(variable));
            return (self.add_source(source), None);
        }
        let (number, path) = match self.routes.zip(path.strip_prefix("policy")) {
            Some((number, rest)) => (number, rest),
            None => (0, path),
        };
        let source = self.sources.get(number);
        let location = source.and_then(|source| {
            let of_file = || source.locate(&secret_file::file_key_of(path)?);
            source.locate(path).or_else(of_file)
        });
        (number, location.map(|location| about.place(location)))
    }

    /// Returns the environment variable that replaces the key of a path, or the name of its file.
    fn variable_of(&self, path: &str) -> Option<&str> {
        let of = |path: &str| {
            let mut variables = self.variables.iter();
            variables.find(|(key, _)| is_within(path, key))
        };
        let found = of(path).or_else(|| of(&secret_file::file_key_of(path)?));
        found.map(|(_, variable)| variable.as_str())
    }
}

/// Whether a path is the path of a key, or leads into its value.
fn is_within(path: &str, key: &str) -> bool {
    let Some((head, rest)) = path.split_at_checked(key.len()) else {
        return false;
    };
    head.eq_ignore_ascii_case(key) && (rest.is_empty() || rest.starts_with(['.', '[']))
}

impl About {
    fn place(self, location: Location) -> Place {
        match location.value {
            Some(value) if location.complete && self == Self::Value => value,
            _ => location.key,
        }
    }
}
