//! A configuration file with all its problems and warnings.

mod reading;

use std::ffi::OsString;
use std::path::Path;

use crate::file;
use jetway_core::config::Config;
use jetway_core::diagnostics::{Problem, Warning};
use serde_json::Value;

use crate::ConfigFile;
use crate::document::{Document, Place, SyntaxError};
use crate::environment::Environment;
use crate::key_usage::{FlaggedPaths, KeyUsage};
use crate::report::{About, Finding, JsonFinding, Report, Severity, Unusable};
use crate::source::Source;
use crate::text;
use reading::Reading;

/// How the secrets that a configuration names are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// They are read, and missing ones are problems.
    Read,
    /// They are replaced by made-up ones, for commands that only evaluate a configuration.
    MadeUp,
}

/// A configuration file as far as it could be read. Not `Debug`: it contains secrets.
pub struct Inspection {
    report: Report,
    usage: KeyUsage,
    flagged: FlaggedPaths,
    config: Option<Config>,
    /// The file as JSON, with secret files and environment variables in their places.
    file: Value,
}

impl Inspection {
    /// Reads a file, with these environment variables. The result contains the problems.
    pub(crate) fn of(
        path: &Path,
        lookup: &dyn Fn(&str) -> Option<OsString>,
        secrets: Secrets,
    ) -> Self {
        let name = path.display().to_string();
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
        {
            let problem = Problem::new("", "the configuration is TOML, which is not supported");
            let problem = problem.help("write it as YAML or JSON, under another name");
            return Self::broken(Source::hidden(name), problem, None);
        }
        let bytes = match file::read("configuration", path, file::MAX_CONFIG_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => {
                let problem = Problem::new("", error.to_string());
                return Self::broken(Source::hidden(name), problem, None);
            }
        };
        let mode = file::exposed_mode(path);
        match text::decode(bytes) {
            Ok(text) => Self::of_source(Source::of_config(name, text), mode, lookup, secrets),
            Err(fault) => {
                let source = Source::of_config(name, fault.shown);
                let problem = Problem::new("", fault.message).help("save the file as UTF-8");
                Self::broken(source, problem, fault.place)
            }
        }
    }

    /// Reads a source. `mode` is the mode of its file, if other users can read it.
    pub(crate) fn of_source(
        mut source: Source,
        mode: Option<u32>,
        lookup: &dyn Fn(&str) -> Option<OsString>,
        secrets: Secrets,
    ) -> Self {
        match Document::parse(&source.text) {
            Ok(Document { value, places }) => {
                source.places = Some(places);
                Reading::begin(source, value, &Environment::new(lookup)).finish(mode, secrets)
            }
            Err(fault) => Self::unparsed(source, fault),
        }
    }

    fn unparsed(source: Source, fault: SyntaxError) -> Self {
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
            usage: KeyUsage::default(),
            flagged: FlaggedPaths::default(),
            config: None,
            file: Value::Null,
        }
    }

    /// Returns the configuration, when the file has no problems.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_ref().filter(|_| self.is_usable())
    }

    fn is_usable(&self) -> bool {
        self.report.count(Severity::Problem) == 0
    }

    /// Returns the configuration with its warnings, or the whole report.
    ///
    /// # Errors
    /// A file with problems.
    pub fn into_parts(self, styled: bool) -> Result<ConfigFile, Unusable> {
        let usable = self.is_usable();
        match self.config {
            Some(config) if usable => Ok(ConfigFile {
                config,
                file: self.file,
                warnings: self.report.render_warnings(styled),
            }),
            _ => Err(self.report.unusable(styled)),
        }
    }

    /// Adds findings from beyond the file itself.
    pub fn add(&mut self, problems: Vec<Problem>, warnings: Vec<Warning>) {
        for (severity, found) in [(Severity::Problem, problems), (Severity::Warning, warnings)] {
            for problem in found {
                self.report
                    .note(severity, problem, About::Value, &self.file);
            }
        }
        self.report.sort();
    }

    /// Turns warnings about unknown keys into problems.
    pub fn refuse_unknown_keys(&mut self) {
        let flagged = &self.flagged;
        self.report.raise(&|path| flagged.is_unknown(path));
    }

    /// Returns the numbers of problems and warnings.
    pub fn counts(&self) -> (usize, usize) {
        let count = |severity| self.report.count(severity);
        (count(Severity::Problem), count(Severity::Warning))
    }

    /// Returns the file as JSON.
    pub fn file(&self) -> &Value {
        &self.file
    }

    /// Returns the line of a path, or of its longest part that exists; `None` when the file could not be parsed or has no
    /// part of it.
    pub fn line_of(&self, path: &str) -> Option<u32> {
        let location = self.report.file()?.locate(path)?;
        Some(location.key.line)
    }

    /// Returns the keys of the file, each once.
    pub fn usage(&self) -> &KeyUsage {
        &self.usage
    }

    /// Returns the problems and the warnings for `--json`.
    pub fn to_json(&self) -> (Vec<JsonFinding<'_>>, Vec<JsonFinding<'_>>) {
        let json = |severity| self.report.to_json(severity);
        (json(Severity::Problem), json(Severity::Warning))
    }

    /// Renders warnings and problems with their lines; empty without any.
    pub fn render(&self, styled: bool) -> String {
        self.report.render_all(styled)
    }

    /// Counts the findings, such as `2 problems, 1 warning`; empty without any.
    pub fn tally(&self) -> String {
        self.report.tally()
    }
}
