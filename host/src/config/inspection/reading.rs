//! From a parsed file to an [`Inspection`].

use jetway_core::config::{Config, Loaded, override_by_variables};
use jetway_core::diagnostics::{Problem, Warning};
use serde_json::Value;

use super::{Inspection, Secrets};
use crate::config::environment::Environment;
use crate::config::report::{About, Finding, Report, RouteName, Severity};
use crate::config::source::Source;
use crate::config::survey::{Marks, Survey};
use crate::config::{exposure, image_file, secret_file};

/// Keys that stand twice and are reported; past that, the file is clear.
const MAX_DUPLICATES: usize = 50;

/// A file that is being read.
pub(super) struct Reading<'e> {
    environment: &'e Environment<'e>,
    report: Report,
    survey: Survey,
    file: Value,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl<'e> Reading<'e> {
    pub(super) fn begin(source: Source, file: Value, environment: &'e Environment<'e>) -> Self {
        Self {
            environment,
            survey: Survey::of(&file, &source),
            report: Report::about(source),
            file,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Reads the rest. `mode` are the permissions of the file, if others can read it.
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
        let marks = self.place_findings();
        Inspection {
            report: self.report,
            survey: self.survey,
            marks,
            config,
            file: self.file,
        }
    }

    /// These have places of their own: the path leads to the first of them.
    fn note_duplicates(&mut self) {
        let places = self.report.file().and_then(|source| source.places.as_ref());
        let duplicates = places.map_or_else(Vec::new, |places| places.duplicates(MAX_DUPLICATES));
        for found in duplicates {
            let line = found.first.line;
            self.report.add(Finding {
                route: RouteName::of(&found.path, &self.file),
                help: Some(format!("keep one of them; the first is in line {line}")),
                place: Some(found.place),
                path: found.path,
                ..Finding::of_file(Severity::Problem, format!("`{}` stands twice", found.key))
            });
        }
    }

    fn warn_of_inline_secrets(&mut self, mode: u32) {
        let name = self.report.file().map_or("", |source| &source.name);
        let warning =
            secret_file::inline(&self.file).map(|key| exposure::of_secrets(&key, mode, name));
        self.warnings.extend(warning);
    }

    /// Puts the routes of the variable `POLICY` in the place of the key.
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

    /// Puts environment variables in the places of the keys that they are named like.
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
        self.warnings.extend(exposure::of_private_keys(&self.file));
    }

    fn read_config(&mut self) -> Option<Config> {
        // The variables are in the file by now.
        match Config::read(&self.file, &|_| None) {
            Ok(Loaded { config, warnings }) => {
                self.warnings.extend(warnings);
                Some(config)
            }
            Err(refused) => {
                self.problems.extend(refused.problems);
                self.warnings.extend(refused.warnings);
                None
            }
        }
    }

    fn place_findings(&mut self) -> Marks {
        let marks = Marks::of(&self.file);
        let problems = std::mem::take(&mut self.problems);
        let warnings = std::mem::take(&mut self.warnings);
        for (severity, found) in [(Severity::Problem, problems), (Severity::Warning, warnings)] {
            for problem in found {
                let about_key = marks.is_about_key(&problem.path) || names_its_key(&problem);
                let about = if about_key { About::Key } else { About::Value };
                self.report.note(severity, problem, about, &self.file);
            }
        }
        self.report.sort();
        marks
    }
}

/// Whether a problem is about a name in a policy, not about what stands behind it.
fn names_its_key(problem: &Problem) -> bool {
    let words = ["unknown ", "criterion "];
    let rest = words
        .iter()
        .find_map(|word| problem.message.strip_prefix(word));
    let name = rest.and_then(|rest| rest.split('`').nth(1));
    name.is_some_and(|name| problem.path.ends_with(name))
}
