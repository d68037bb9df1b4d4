//! Renders all findings as text or as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Finding, Outcome};
use crate::terminal::Styles;
use jetway_config_file::terminal::is_terminal_control;

/// The findings about a deployment.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    file: &'a str,
    /// Whether nothing fails.
    ok: bool,
    findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    /// Creates a report of findings in the order of the checks.
    pub(crate) fn new(file: &'a str, findings: Vec<Finding>) -> Self {
        let ok = findings
            .iter()
            .all(|finding| finding.outcome != Outcome::Failure);
        Self { file, ok, findings }
    }

    /// Whether the exit status is 0.
    pub(crate) const fn is_ok(&self) -> bool {
        self.ok
    }

    /// Renders one JSON object.
    pub(crate) fn render_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Renders lines for people, with these styles. Failures come last, at the end of the output.
    pub(crate) fn render_text(&self, styles: Styles) -> String {
        let mut text = String::new();
        for outcome in [Outcome::Ok, Outcome::Warning, Outcome::Failure] {
            for finding in self.with_outcome(outcome) {
                render_finding(finding, styles, &mut text);
            }
        }
        let count = |outcome| self.with_outcome(outcome).count();
        let _ = writeln!(
            text,
            "\n{}: {}",
            make_safe(self.file),
            styles.strong(summarize(count(Outcome::Failure), count(Outcome::Warning)))
        );
        text
    }

    fn with_outcome(&self, outcome: Outcome) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.outcome == outcome)
    }
}

fn summarize(failures: usize, warnings: usize) -> String {
    let counted = |count: usize, noun: &str| {
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {noun}{plural}"))
    };
    let said: Vec<String> = [counted(failures, "failure"), counted(warnings, "warning")]
        .into_iter()
        .flatten()
        .collect();
    match (failures, said.is_empty()) {
        (_, true) => "ok".to_owned(),
        (0, false) => format!("ok, {}", said.join(", ")),
        (_, false) => said.join(", "),
    }
}

/// Returns a string on one line. Responses of servers must not move the cursor.
fn make_safe(words: &str) -> String {
    words
        .replace('\n', " ")
        .chars()
        .map(|c| {
            if is_terminal_control(c) {
                '\u{FFFD}'
            } else {
                c
            }
        })
        .collect()
}

/// Returns the outcome in its column and its colour.
fn render_outcome(outcome: Outcome, styles: Styles) -> String {
    let word = format!("{:7}", outcome.as_str());
    match outcome {
        Outcome::Ok => styles.good(word),
        Outcome::Warning => styles.open(word),
        Outcome::Failure => styles.bad(word),
    }
}

/// Appends a finding; writing to a string cannot fail.
fn render_finding(finding: &Finding, styles: Styles, text: &mut String) {
    let gap = if finding.outcome == Outcome::Ok {
        ""
    } else {
        "\n"
    };
    let _ = writeln!(
        text,
        "{gap}{}  {}: {}",
        render_outcome(finding.outcome, styles),
        make_safe(&finding.about),
        make_safe(&finding.message)
    );
    if let Some(seen) = &finding.seen {
        let _ = writeln!(text, "  {}    {}", styles.faint("seen:"), make_safe(seen));
    }
    if let Some(why) = &finding.why {
        let _ = writeln!(text, "  {}     {}", styles.faint("why:"), make_safe(why));
    }
    for change in &finding.changes {
        let place = match (&change.file, change.line) {
            (Some(file), Some(line)) => format!("{file}:{line}: "),
            (Some(file), None) => format!("{file}: "),
            (None, _) => String::new(),
        };
        let _ = writeln!(
            text,
            "  {}  {}{}",
            styles.faint("change:"),
            make_safe(&place),
            make_safe(&change.what)
        );
        for line in &change.lines {
            let _ = writeln!(text, "             {}", styles.strong(make_safe(line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Change;

    #[test]
    fn failures_come_last_and_are_complete() {
        let findings = vec![
            Finding::failure("x", "route `a`", "it is \u{1b}[2Jrefused")
                .seen("a page")
                .why("because\nof this")
                .change(Change::file("a.yaml", Some(7), "write").line("b: c")),
            Finding::ok("y", "a.yaml", "fine"),
        ];
        let report = Report::new("a.yaml", findings);
        assert!(!report.is_ok());
        assert_eq!(
            report.render_text(Styles::Plain),
            "ok       a.yaml: fine\n\
             \n\
             failure  route `a`: it is \u{FFFD}[2Jrefused\n\
             \x20 seen:    a page\n\
             \x20 why:     because of this\n\
             \x20 change:  a.yaml:7: write\n\
             \x20            b: c\n\
             \n\
             a.yaml: 1 failure\n"
        );
        let json: serde_json::Value = serde_json::from_str(&report.render_json().unwrap()).unwrap();
        assert_eq!(json["ok"], false);
        assert_eq!(json["findings"][0]["changes"][0]["line"], 7);
    }

    #[test]
    fn terminals_get_colours_and_no_other_escapes() {
        let failure = Finding::failure("x", "a", "it is \u{1b}[2Jrefused").seen("a page");
        let report = Report::new("a.yaml", vec![failure]);
        let text = report.render_text(Styles::Coloured);
        assert!(
            text.starts_with("\n\u{1b}[31mfailure\u{1b}[0m  a: it is \u{FFFD}[2Jrefused\n"),
            "{text:?}"
        );
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, report.render_text(Styles::Plain));
    }

    #[test]
    fn nothing_wrong_is_ok() {
        assert!(Report::new("a.yaml", vec![Finding::warning("x", "a", "b")]).is_ok());
        assert_eq!(
            Report::new("a.yaml", Vec::new()).render_text(Styles::Plain),
            "\na.yaml: ok\n"
        );
    }
}
