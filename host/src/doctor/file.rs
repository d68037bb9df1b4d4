//! The findings of `jetway check`: the file itself, and the secrets and certificates that it names.

use super::finding::{Change, Finding, Outcome};
use jetway_config_file::{Inspection, JsonFinding};

const CHECK: &str = "file";

/// Returns a finding for each problem and warning, or one that confirms that there are none.
pub(super) fn examine(name: &str, inspection: &Inspection) -> Vec<Finding> {
    let (problems, warnings) = inspection.to_json();
    let convert = |found: &JsonFinding<'_>, outcome| convert(name, found, outcome);
    let mut findings: Vec<Finding> = problems
        .iter()
        .map(|problem| {
            convert(problem, Outcome::Failure)
                .seen("no site: `jetway run` does not start with this file")
        })
        .collect();
    findings.extend(
        warnings
            .iter()
            .map(|warning| convert(warning, Outcome::Warning)),
    );
    if findings.is_empty() {
        let message = "it is valid, and only the owner can read its secrets";
        findings.push(Finding::ok(CHECK, name, message));
    }
    findings
}

fn convert(name: &str, told: &JsonFinding<'_>, outcome: Outcome) -> Finding {
    let file = told.source.unwrap_or(name);
    let about = match told.route {
        Some(route) => format!("{file}, route `{route}`"),
        None => file.to_owned(),
    };
    let finding = Finding {
        outcome,
        ..Finding::warning(CHECK, &about, told.message)
    };
    let line = told.line.and_then(|line| usize::try_from(line).ok());
    match told.help {
        Some(help) => finding.change(Change::file(file, line, help)),
        None if line.is_some() => finding.change(Change::file(file, line, "see `jetway check`")),
        None => finding,
    }
}
