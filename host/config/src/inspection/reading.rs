//! Turns a parsed file into an [`Inspection`].

use jetway_core::config::{Config, Loaded, override_by_variables};
use jetway_core::diagnostics::{Problem, Warning};
use serde_json::Value;

use super::{Inspection, Secrets};
use crate::environment::Environment;
use crate::key_usage::{FlaggedPaths, KeyUsage};
use crate::report::{About, Finding, Report, RouteName, Severity};
use crate::source::Source;
use crate::{file_permissions, image_file, secret_file};

/// Most duplicate keys that are reported.
const MAX_DUPLICATES: usize = 50;

/// A file that is being read.
pub(super) struct Reading<'e> {
    environment: &'e Environment<'e>,
    report: Report,
    usage: KeyUsage,
    file: Value,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl<'e> Reading<'e> {
    pub(super) fn begin(source: Source, file: Value, environment: &'e Environment<'e>) -> Self {
        Self {
            environment,
            usage: KeyUsage::of(&file, &source),
            report: Report::about(source),
            file,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Reads the rest. `mode` is the mode of the file, if other users can read it.
    pub(super) fn finish(mut self, mode: Option<u32>, secrets: Secrets) -> Inspection {
        self.note_duplicates();
        if let (Some(mode), Secrets::Read) = (mode, secrets) {
            self.warn_of_inline_secrets(mode);
        }
        self.take_routes();
        self.take_variables();
        match secrets {
            Secrets::Read => self.read_secrets(),
            Secrets::MadeUp => secret_file::make_up(&mut self.file),
        }
        self.problems.extend(image_file::resolve(&mut self.file));
        let config = self.read_config();
        let flagged = self.place_findings();
        Inspection {
            report: self.report,
            usage: self.usage,
            flagged,
            config,
            file: self.file,
        }
    }

    /// Reports duplicate keys, which have places of their own: their path leads to the first one.
    fn note_duplicates(&mut self) {
        let places = self.report.file().and_then(|source| source.places.as_ref());
        let duplicates =
            places.map_or_else(Vec::new, |places| places.find_duplicates(MAX_DUPLICATES));
        for found in duplicates {
            let line = found.first.line;
            self.report.add(Finding {
                route: RouteName::of(&found.path, &self.file),
                help: Some(format!("keep one of them; the first is in line {line}")),
                place: Some(found.place),
                path: found.path,
                ..Finding::of_file(Severity::Problem, format!("duplicate key `{}`", found.key))
            });
        }
    }

    fn warn_of_inline_secrets(&mut self, mode: u32) {
        let name = self.report.file().map_or("", |source| &source.name);
        let warning = secret_file::find_inline_secret(&self.file)
            .map(|key| file_permissions::of_secrets(&key, mode, name));
        self.warnings.extend(warning);
    }

    /// Replaces the key `policy` by the routes of the variable `POLICY`.
    fn take_routes(&mut self) {
        match self.environment.policy() {
            None => {}
            Some(Ok(routes)) => {
                self.report.routes_from(routes.source);
                if let Value::Object(keys) = &mut self.file {
                    keys.retain(|key, _| !key.eq_ignore_ascii_case("policy"));
                    keys.insert("policy".to_owned(), routes.list);
                }
            }
            Some(Err(unfit)) => {
                let source = self.report.add_source(unfit.source);
                self.report.add(Finding {
                    help: unfit.problem.help,
                    place: unfit.place,
                    source,
                    ..Finding::of_file(Severity::Problem, unfit.problem.message)
                });
            }
        }
    }

    /// Replaces keys by the environment variables of the same name.
    fn take_variables(&mut self) {
        let variable = |name: &str| self.environment.variable(name);
        let overridden = override_by_variables(&mut self.file, &variable);
        self.warnings.extend(overridden.warnings);
        self.problems.extend(self.environment.problems());
        self.report.overridden_by(overridden.keys);
    }

    fn read_secrets(&mut self) {
        let problems = secret_file::resolve(&mut self.file, &mut self.warnings);
        self.problems.extend(problems);
        self.warnings
            .extend(file_permissions::of_private_keys(&self.file));
    }

    fn read_config(&mut self) -> Option<Config> {
        // The variables have been merged into the file.
        match Config::read(&self.file, &|_| None) {
            Ok(Loaded { config, warnings }) => {
                self.warnings.extend(warnings);
                Some(config)
            }
            Err(refused) => {
                let refused_by_core = refused.problems.into_iter();
                let own: Vec<_> = refused_by_core
                    .filter(|problem| !self.is_of_unreadable_file(&problem.path))
                    .collect();
                self.problems.extend(own);
                self.warnings.extend(refused.warnings);
                None
            }
        }
    }

    /// Returns whether a key has no value only because the file that the key with `_file` names has been reported.
    fn is_of_unreadable_file(&self, path: &str) -> bool {
        let file_key = format!("{path}_file");
        let mut reported = self.problems.iter();
        reported.any(|problem| problem.path.eq_ignore_ascii_case(&file_key))
    }

    fn place_findings(&mut self) -> FlaggedPaths {
        let flagged = FlaggedPaths::of(&self.file);
        let problems = std::mem::take(&mut self.problems);
        let warnings = std::mem::take(&mut self.warnings);
        for (severity, found) in [(Severity::Problem, problems), (Severity::Warning, warnings)] {
            for problem in found {
                let about_key = flagged.is_about_key(&problem.path) || names_its_key(&problem);
                let about = if about_key { About::Key } else { About::Value };
                self.report.note(severity, problem, about, &self.file);
            }
        }
        self.report.sort();
        flagged
    }
}

/// Whether a problem is about a name in a policy, not about its value.
fn names_its_key(problem: &Problem) -> bool {
    let words = ["unknown ", "criterion "];
    let rest = words
        .iter()
        .find_map(|word| problem.message.strip_prefix(word));
    let name = rest.and_then(|rest| rest.split('`').nth(1));
    name.is_some_and(|name| problem.path.ends_with(name))
}
