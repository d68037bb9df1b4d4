//! The results of the cases as one JSON object.

use jetway_core::explain::Explanation;
use serde::Serialize;

use super::suite::CaseResult;

#[derive(Serialize)]
struct Report<'a> {
    passed: usize,
    failed: usize,
    cases: Vec<ReportedCase<'a>>,
}

#[derive(Serialize)]
struct ReportedCase<'a> {
    name: &'a str,
    /// The line in the file of cases; `null` if it is not known.
    line: Option<u32>,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a Explanation>,
}

/// Renders the results.
///
/// # Errors
/// The results cannot be written as JSON.
pub(super) fn render(results: &[CaseResult]) -> serde_json::Result<String> {
    let cases: Vec<ReportedCase<'_>> = results.iter().map(describe).collect();
    let failed = cases.iter().filter(|case| !case.passed).count();
    let report = Report {
        passed: cases.len() - failed,
        failed,
        cases,
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&report)?))
}

fn describe(result: &CaseResult) -> ReportedCase<'_> {
    let failure = result.failure.as_ref();
    let explanation = failure.and_then(|failure| failure.explanation.as_ref());
    ReportedCase {
        name: &result.heading.name,
        line: result.heading.line,
        passed: failure.is_none(),
        message: failure.map(|failure| failure.message.as_str()),
        explanation: explanation.map(|(explanation, _)| explanation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::test::suite::Suite;
    use jetway_config_file::YamlFile;

    const CASES: &str = r#"
- {name: "one <&> \"two\"\a", policy: '{allow: {and: [{accept: true}]}}', request: {}, expect: allow}
- {name: wrong, policy: '{}', request: {}, expect: allow}
- {name: "un\nreadable", policy: '{}', request: {}, expect: nothing}
"#;

    #[test]
    fn the_json_report_has_every_case() {
        let cases = YamlFile::parse("cases.yaml".to_owned(), CASES.to_owned(), false).unwrap();
        let suite = Suite::of(cases, false).unwrap();
        let results: Vec<CaseResult> = suite.run(None).collect();
        let report = render(&results).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(
            (&report["passed"], &report["failed"]),
            (&1.into(), &2.into())
        );
        let cases = report["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 3);
        let passed = serde_json::json!({"name": "one <&> \"two\"\u{7}", "line": 2, "passed": true});
        assert_eq!(cases[0], passed);
        assert_eq!(cases[1]["message"], "expected allow, got deny");
        assert_eq!(cases[1]["explanation"]["decision"], "deny");
        assert_eq!(cases[2]["line"], 4);
        assert!(cases[2].get("explanation").is_none());
    }
}
