//! Findings as a program reads them.

use jetway_core::diagnostics::without_userinfo;
use serde::Serialize;

use super::{Finding, Report, Severity};

/// A finding as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Told<'a> {
    /// Keys joined by dots; empty for the file as a whole.
    pub(crate) path: String,
    /// Counts from one; null when there is no place, and when the place is not in the file.
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
    /// The route's name, else its `from`.
    pub(crate) route: Option<&'a str>,
    pub(crate) message: &'a str,
    pub(crate) help: Option<&'a str>,
    /// What the finding is about, when it is not the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<&'a str>,
}

impl Report {
    /// All findings of one severity, in their order.
    pub(in crate::config) fn told(&self, severity: Severity) -> Vec<Told<'_>> {
        self.of(severity)
            .map(|finding| self.tell(finding))
            .collect()
    }

    fn tell<'a>(&'a self, finding: &'a Finding) -> Told<'a> {
        let place = finding.place.filter(|_| finding.source == 0);
        let source = self.sources.get(finding.source);
        Told {
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
