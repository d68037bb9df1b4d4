//! A configuration file with everything that is wrong or odd about it.

mod reading;

use std::ffi::OsString;
use std::path::Path;

use jetway_core::config::Config;
use jetway_core::diagnostics::{Problem, Warning};
use jetway_proxy::{file, limits};
use serde_json::Value;

use super::document::{Document, Place, SyntaxFault};
use super::environment::Environment;
use super::report::{About, Finding, Report, Severity, Told, Unusable};
use super::source::Source;
use super::survey::{Marks, Survey};
use super::text;
use reading::Reading;

/// Whether the secrets that a configuration names are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    /// They are read, and missing ones are problems.
    Read,
    /// They are made up, for those who ask what a configuration means.
    MadeUp,
}

/// A configuration file as far as it could be read. Not `Debug`: it holds secrets.
pub(crate) struct Inspection {
    report: Report,
    survey: Survey,
    marks: Marks,
    config: Option<Config>,
    /// The file as JSON, with secret files and environment variables in their places.
    file: Value,
}

impl Inspection {
    /// Reads a file, with these environment variables. What is wrong is in the result.
    pub(super) fn of(
        path: &Path,
        lookup: &dyn Fn(&str) -> Option<OsString>,
        secrets: Secrets,
    ) -> Self {
        let name = path.display().to_string();
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
        {
            let problem = Problem::new("", "the configuration is TOML, which is not read here");
            let problem = problem.help("write it as YAML or JSON, under another name");
            return Self::broken(Source::hidden(name), problem, None);
        }
        let bytes = match file::read_whole("configuration", path, limits::CONFIG_FILE) {
            Ok(bytes) => bytes,
            Err(error) => {
                let problem = Problem::new("", error.to_string());
                return Self::broken(Source::hidden(name), problem, None);
            }
        };
        let mode = file::exposure(path);
        match text::decode(bytes) {
            Ok(text) => Self::of_text(name, text, mode, lookup, secrets),
            Err(fault) => {
                let source = Source {
                    text: fault.shown,
                    ..Source::hidden(name)
                };
                let problem = Problem::new("", fault.message).help("save the file as UTF-8");
                Self::broken(source, problem, fault.place)
            }
        }
    }

    /// Reads a text. `mode` are the permissions of its file, if others can read it.
    pub(super) fn of_text(
        name: String,
        text: String,
        mode: Option<u32>,
        lookup: &dyn Fn(&str) -> Option<OsString>,
        secrets: Secrets,
    ) -> Self {
        let mut source = Source {
            text,
            ..Source::hidden(name)
        };
        match Document::parse(&source.text) {
            Ok(Document { value, places }) => {
                source.places = Some(places);
                Reading::begin(source, value, &Environment::new(lookup)).finish(mode, secrets)
            }
            Err(fault) => Self::unparsed(source, fault),
        }
    }

    fn unparsed(source: Source, fault: SyntaxFault) -> Self {
        let help = if text::looks_like_toml(&source.text) {
            Some("this looks like TOML: write it as YAML or JSON")
        } else {
            fault.help
        };
        let problem = Problem::new("", fault.message);
        let problem = match help {
            Some(help) => problem.help(help),
            None => problem,
        };
        Self::broken(source, problem, fault.place)
    }

    fn broken(source: Source, problem: Problem, place: Option<Place>) -> Self {
        let mut report = Report::about(source);
        report.add(Finding {
            help: problem.help,
            place,
            ..Finding::of_file(Severity::Problem, problem.message)
        });
        Self {
            report,
            survey: Survey::default(),
            marks: Marks::default(),
            config: None,
            file: Value::Null,
        }
    }

    /// The configuration, when the file has no problems.
    pub(crate) fn config(&self) -> Option<&Config> {
        self.config.as_ref().filter(|_| self.is_usable())
    }

    fn is_usable(&self) -> bool {
        self.report.count(Severity::Problem) == 0
    }

    /// Configuration, file and warnings, or the whole report.
    ///
    /// # Errors
    /// A file with problems.
    pub(super) fn into_parts(self, styled: bool) -> Result<(Config, Value, String), Unusable> {
        let usable = self.is_usable();
        match self.config {
            Some(config) if usable => Ok((config, self.file, self.report.warnings(styled))),
            _ => Err(self.report.unusable(styled)),
        }
    }

    /// Adds what was found beyond the file itself.
    pub(crate) fn add(&mut self, problems: Vec<Problem>, warnings: Vec<Warning>) {
        for (severity, found) in [(Severity::Problem, problems), (Severity::Warning, warnings)] {
            for problem in found {
                self.report
                    .note(severity, problem, About::Value, &self.file);
            }
        }
        self.report.sort();
    }

    /// Makes problems of keys that nobody knows.
    pub(crate) fn refuse_unknown_keys(&mut self) {
        let marks = &self.marks;
        self.report.raise(&|path| marks.is_unknown(path));
    }

    /// How many problems and warnings there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let count = |severity| self.report.count(severity);
        (count(Severity::Problem), count(Severity::Warning))
    }

    /// The file as JSON.
    pub(crate) fn file(&self) -> &Value {
        &self.file
    }

    /// The line in which a key stands, or the longest part of its path that is there; `None` when the file could not be
    /// parsed, or has nothing of it.
    pub(crate) fn line_of(&self, path: &str) -> Option<u32> {
        let spot = self.report.file()?.spot(path)?;
        Some(spot.key.line)
    }

    /// The keys of the file, each once.
    pub(crate) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// The problems, and the warnings, as a program reads them.
    pub(crate) fn told(&self) -> (Vec<Told<'_>>, Vec<Told<'_>>) {
        let told = |severity| self.report.told(severity);
        (told(Severity::Problem), told(Severity::Warning))
    }

    /// Warnings and problems as a person reads them; empty without any.
    pub(crate) fn shown(&self, styled: bool) -> String {
        self.report.shown(styled)
    }

    /// `2 problems, 1 warning`; empty without any.
    pub(crate) fn tally(&self) -> String {
        self.report.tally()
    }
}
