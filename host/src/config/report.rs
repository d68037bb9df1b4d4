//! Everything that is wrong or odd, in the order of the file, as a person or a program reads it.

mod finding;
mod json;
mod locate;
mod snippet;

pub(super) use finding::{Finding, RouteName, Severity};
pub(crate) use json::Told;
pub(super) use locate::About;

use std::collections::HashMap;
use std::ops::Range;

use super::source::Source;

/// Most problems shown to a person, and most warnings; past a screenful, nobody reads on.
const MAX_SHOWN: usize = 50;

/// The core stops at so many problems, and so many warnings.
const MOST_FOUND: usize = 200;

/// A configuration that cannot be used; displays as the whole report.
#[derive(Debug, thiserror::Error)]
#[error("{rendered}")]
pub(crate) struct Unusable {
    rendered: String,
}

/// What there is to say about a file. The first source is the file itself.
#[derive(Debug)]
pub(super) struct Report {
    sources: Vec<Source>,
    findings: Vec<Finding>,
    /// The source of the key `policy`, when that is not the file.
    routes: Option<usize>,
    /// Paths of keys that environment variables stand for, and the variables.
    variables: Vec<(String, String)>,
}

impl Report {
    pub(super) fn about(source: Source) -> Self {
        Self {
            sources: vec![source],
            findings: Vec::new(),
            routes: None,
            variables: Vec::new(),
        }
    }

    /// Adds a source; returns its number.
    pub(super) fn add_source(&mut self, source: Source) -> usize {
        self.sources.push(source);
        self.sources.len() - 1
    }

    /// The file itself.
    pub(super) fn file(&self) -> Option<&Source> {
        self.sources.first()
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding.without_passwords());
    }

    /// Brings the findings into the order of the text; those without a place come last.
    pub(super) fn sort(&mut self) {
        self.findings.sort_by_key(Finding::order);
    }

    /// Makes problems of warnings at chosen paths.
    pub(super) fn raise(&mut self, chosen: &dyn Fn(&str) -> bool) {
        for finding in &mut self.findings {
            if chosen(&finding.path) {
                finding.severity = Severity::Problem;
            }
        }
    }

    pub(super) fn count(&self, severity: Severity) -> usize {
        self.of(severity).count()
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        let right = move |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(right)
    }

    /// The warnings, ready to print; empty without any.
    pub(super) fn warnings(&self, styled: bool) -> String {
        self.parts(Severity::Warning, styled).join("\n\n")
    }

    /// Warnings, then problems; empty without any.
    pub(super) fn shown(&self, styled: bool) -> String {
        let mut parts = self.parts(Severity::Warning, styled);
        parts.extend(self.parts(Severity::Problem, styled));
        parts.join("\n\n")
    }

    /// [`Self::shown`], and how many they are; for a file that cannot be used.
    pub(super) fn unusable(&self, styled: bool) -> Unusable {
        let name = self.sources.first().map_or("", |source| &source.name);
        Unusable {
            rendered: format!("{}\n\n{name}: {}", self.shown(styled), self.tally()),
        }
    }

    /// `2 problems, 1 warning`; empty without any.
    pub(super) fn tally(&self) -> String {
        let problems = self.counted(Severity::Problem, "problem");
        let warnings = self.counted(Severity::Warning, "warning");
        let said: Vec<String> = [problems, warnings].into_iter().flatten().collect();
        said.join(", ")
    }

    fn counted(&self, severity: Severity, noun: &str) -> Option<String> {
        let count = self.count(severity);
        let plural = if count == 1 { "" } else { "s" };
        let hidden = match count.saturating_sub(MAX_SHOWN) {
            0 => String::new(),
            hidden => format!(" ({hidden} not shown)"),
        };
        let more = if count < MOST_FOUND { "" } else { "or more " };
        (count > 0).then(|| format!("{count} {more}{noun}{plural}{hidden}"))
    }

    fn parts(&self, severity: Severity, styled: bool) -> Vec<String> {
        // What must not be shown is found once for each source, and only when something is shown.
        let mut secrets: HashMap<usize, Option<Vec<Range<usize>>>> = HashMap::new();
        let mut parts = Vec::new();
        for finding in self.of(severity).take(MAX_SHOWN) {
            let Some(source) = self.sources.get(finding.source) else {
                continue;
            };
            let secrets = secrets
                .entry(finding.source)
                .or_insert_with(|| source.secrets());
            parts.push(snippet::render(finding, source, secrets.as_deref(), styled));
        }
        parts
    }
}

#[cfg(test)]
mod tests;
