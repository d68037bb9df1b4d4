//! All findings in the order of the file, for people or as JSON.

mod finding;
mod json;
mod locate;
mod snippet;

pub(crate) use finding::{Finding, RouteName, Severity};
pub use json::JsonFinding;
pub(crate) use locate::About;

use std::collections::HashMap;
use std::ops::Range;

use crate::source::Source;

/// Most problems that are shown, and most warnings.
const MAX_SHOWN: usize = 50;

/// The number of problems, and of warnings, at which the core stops.
const MOST_FOUND: usize = 200;

/// A file that cannot be used; displays as the whole report.
#[derive(Debug, thiserror::Error)]
#[error("{rendered}")]
pub struct Unusable {
    rendered: String,
}

/// The findings about a file. The first source is the file itself.
#[derive(Debug)]
pub(crate) struct Report {
    sources: Vec<Source>,
    findings: Vec<Finding>,
    /// The source of the key `policy`, when that is not the file.
    routes: Option<usize>,
    /// Paths of keys that environment variables replace, and the variables.
    variables: Vec<(String, String)>,
}

impl Report {
    pub(crate) fn about(source: Source) -> Self {
        Self {
            sources: vec![source],
            findings: Vec::new(),
            routes: None,
            variables: Vec::new(),
        }
    }

    /// Adds a source; returns its number.
    pub(crate) fn add_source(&mut self, source: Source) -> usize {
        self.sources.push(source);
        self.sources.len() - 1
    }

    /// The file itself.
    pub(crate) fn file(&self) -> Option<&Source> {
        self.sources.first()
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        self.findings.push(finding.without_passwords());
    }

    /// Sorts the findings by their places; those without a place come last.
    pub(crate) fn sort(&mut self) {
        self.findings.sort_by_key(Finding::order);
    }

    /// Turns warnings at chosen paths into problems.
    pub(crate) fn raise(&mut self, chosen: &dyn Fn(&str) -> bool) {
        for finding in &mut self.findings {
            if chosen(&finding.path) {
                finding.severity = Severity::Problem;
            }
        }
    }

    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.with_severity(severity).count()
    }

    fn with_severity(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        let right = move |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(right)
    }

    /// Renders the warnings; empty without any.
    pub(crate) fn render_warnings(&self, styled: bool) -> String {
        self.render_each(Severity::Warning, styled).join("\n\n")
    }

    /// Renders warnings, then problems; empty without any.
    pub(crate) fn render_all(&self, styled: bool) -> String {
        let mut parts = self.render_each(Severity::Warning, styled);
        parts.extend(self.render_each(Severity::Problem, styled));
        parts.join("\n\n")
    }

    /// Renders all findings and their counts, for a file that cannot be used.
    pub(crate) fn unusable(&self, styled: bool) -> Unusable {
        let name = self.sources.first().map_or("", |source| &source.name);
        Unusable {
            rendered: format!("{}\n\n{name}: {}", self.render_all(styled), self.tally()),
        }
    }

    /// Counts the findings, such as `2 problems, 1 warning`; empty without any.
    pub(crate) fn tally(&self) -> String {
        let problems = self.describe_count(Severity::Problem, "problem");
        let warnings = self.describe_count(Severity::Warning, "warning");
        let said: Vec<String> = [problems, warnings].into_iter().flatten().collect();
        said.join(", ")
    }

    fn describe_count(&self, severity: Severity, noun: &str) -> Option<String> {
        let count = self.count(severity);
        let plural = if count == 1 { "" } else { "s" };
        let hidden = match count.saturating_sub(MAX_SHOWN) {
            0 => String::new(),
            hidden => format!(" ({hidden} not shown)"),
        };
        let more = if count < MOST_FOUND { "" } else { "or more " };
        (count > 0).then(|| format!("{count} {more}{noun}{plural}{hidden}"))
    }

    fn render_each(&self, severity: Severity, styled: bool) -> Vec<String> {
        // Secrets are located once for each source, and only when something is shown.
        let mut secrets: HashMap<usize, Option<Vec<Range<usize>>>> = HashMap::new();
        let mut parts = Vec::new();
        for finding in self.with_severity(severity).take(MAX_SHOWN) {
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
