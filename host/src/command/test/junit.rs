//! The results of the cases as a JUnit report, in the elements and attributes that all readers of such reports share.

use std::fmt::{self, Write as _};

use super::suite::{CaseResult, Failure};
use crate::terminal::Styles;

/// Renders the results of a file of cases.
pub(super) fn render(file: &str, results: &[CaseResult]) -> String {
    let failures = results.iter().filter(|result| result.failure.is_some());
    let totals = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\"",
        results.len(),
        failures.count()
    );
    let file = Escaped(file);
    let mut report = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {totals}>\n  <testsuite name=\"{file}\" {totals}>\n"
    );
    for result in results {
        // Writing to a string cannot fail.
        let _ = write_case(&mut report, &file, result);
    }
    report.push_str("  </testsuite>\n</testsuites>\n");
    report
}

fn write_case(report: &mut String, file: &Escaped<'_>, result: &CaseResult) -> fmt::Result {
    let name = Escaped(&result.heading.name);
    write!(
        report,
        "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\""
    )?;
    if let Some(line) = result.heading.line {
        write!(report, " line=\"{line}\"")?;
    }
    match &result.failure {
        None => writeln!(report, "/>"),
        Some(failure) => writeln!(
            report,
            ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
            Escaped(&failure.message),
            Escaped(&describe(result, failure))
        ),
    }
}

/// Describes a failure in several lines: its place, its differences, and the actual decision.
fn describe(result: &CaseResult, failure: &Failure) -> String {
    let mut text = format!("{}: {}", result.heading.place(), failure.message);
    if let Some((explanation, destination)) = &failure.explanation {
        let tree = super::render(explanation, destination.as_deref(), Styles::Plain);
        text.push_str("\n\n");
        text.push_str(tree.trim_end());
    }
    text
}

/// A string as XML text or as the value of an attribute. Characters that XML 1.0 cannot contain are replaced.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                // A reader would take them for a space in an attribute.
                '\n' | '\t' => write!(f, "&#{};", u32::from(character))?,
                '\0'..=' ' if character != ' ' => f.write_char(char::REPLACEMENT_CHARACTER)?,
                '\u{fffe}' | '\u{ffff}' => f.write_char(char::REPLACEMENT_CHARACTER)?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
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

    fn report(file: &str) -> String {
        let cases = YamlFile::parse(file.to_owned(), CASES.to_owned(), false).unwrap();
        let suite = Suite::of(cases, false).unwrap();
        let results: Vec<CaseResult> = suite.run(None).collect();
        render(suite.name(), &results)
    }

    #[test]
    fn a_report_is_xml_with_every_case() {
        let report = report("a&b.yaml");
        let document = roxmltree::Document::parse(&report).unwrap();
        let root = document.root_element();
        assert_eq!(root.tag_name().name(), "testsuites");
        let suite = root.first_element_child().unwrap();
        assert_eq!(suite.attribute("name"), Some("a&b.yaml"));
        for element in [root, suite] {
            assert_eq!(element.attribute("tests"), Some("3"));
            assert_eq!(element.attribute("failures"), Some("2"));
        }
        let cases: Vec<_> = suite
            .children()
            .filter(roxmltree::Node::is_element)
            .collect();
        let attributes = |name| cases.iter().map(move |case| case.attribute(name).unwrap());
        assert!(attributes("name").eq(["one <&> \"two\"\u{fffd}", "wrong", "un\nreadable"]));
        assert!(attributes("line").eq(["2", "3", "4"]));
        let failures: Vec<_> = cases
            .iter()
            .map(|case| case.first_element_child())
            .collect();
        assert!(failures[0].is_none());
        let wrong = failures[1].unwrap();
        assert_eq!(wrong.attribute("message"), Some("expected allow, got deny"));
        let text = wrong.text().unwrap();
        assert!(
            text.starts_with("a&b.yaml:3: expected allow, got deny\n\n"),
            "{text}"
        );
        let message = failures[2].unwrap().attribute("message").unwrap();
        assert!(message.starts_with("cannot be read: "), "{message}");
    }
}
