//! Findings as JSON.

use jetway_core::diagnostics::without_userinfo;
use serde::Serialize;

use super::{Finding, Report, Severity};

/// A finding as JSON.
#[derive(Debug, Serialize)]
pub struct JsonFinding<'a> {
    /// Keys joined by dots; empty for the file as a whole.
    pub path: String,
    /// Counts from one; null when there is no place, and when the place is not in the file.
    pub line: Option<u32>,
    /// Counts from one.
    pub column: Option<u32>,
    /// The route's name, else its `from`.
    pub route: Option<&'a str>,
    /// The problem.
    pub message: &'a str,
    /// The text to write instead.
    pub help: Option<&'a str>,
    /// The source of the finding, when it is not the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'a str>,
}

impl Report {
    /// Returns the findings of one severity, in their order.
    pub(crate) fn to_json(&self, severity: Severity) -> Vec<JsonFinding<'_>> {
        self.with_severity(severity)
            .map(|finding| self.finding_to_json(finding))
            .collect()
    }

    fn finding_to_json<'a>(&'a self, finding: &'a Finding) -> JsonFinding<'a> {
        let place = finding.place.filter(|_| finding.source == 0);
        let source = self.sources.get(finding.source);
        JsonFinding {
            path: without_userinfo(&finding.path),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            route: finding.route.as_ref().map(|route| route.short()),
            message: &finding.message,
            help: finding.help.as_deref(),
            source: source
                .filter(|_| finding.source != 0)
                .map(|source| source.name.as_str()),
        }
    }
}
