use super::*;
use crate::document::{Document, Place};
use crate::redaction::Region;

fn source(text: &str) -> Source {
    Source {
        name: "test.yaml".to_owned(),
        text: text.to_owned(),
        places: Document::parse(text).ok().map(|document| document.places),
        region: Region::Other,
    }
}

fn finding(source: &Source, severity: Severity, path: &str) -> Finding {
    let location = source.locate(path);
    Finding {
        path: path.to_owned(),
        help: Some("write it right".to_owned()),
        place: location.map(|location| location.value.unwrap_or(location.key)),
        ..Finding::of_file(severity, "it is wrong")
    }
}

fn report(text: &str, paths: &[&str]) -> Report {
    let mut report = Report::about(source(text));
    for path in paths {
        let found = finding(report.file().unwrap(), Severity::Problem, path);
        report.add(found);
    }
    report.sort();
    report
}

fn shown(text: &str, path: &str) -> String {
    report(text, &[path]).unusable(false).to_string()
}

#[test]
fn the_line_is_shown_and_underlined() {
    let shown = shown("a: 1\nname: \"ä long\"\nb: 2\n", "name");
    let expected = "\
error: it is wrong
 --> test.yaml:2:7
  |
2 | name: \"ä long\"
  |       ^^^^^^^^
  |
  = help: write it right

test.yaml: 1 problem";
    assert_eq!(shown, expected);
}

#[test]
fn a_place_in_a_long_line_has_its_column() {
    let text = format!("{{\"long\": \"{}\", \"name\": 7}}", "é".repeat(5000));
    for styled in [false, true] {
        let shown = report(&text, &["name"]).unusable(styled).to_string();
        assert!(shown.contains("test.yaml:1:5022"), "{shown}");
        assert!(shown.len() < 1500, "{shown}");
    }
}

#[test]
fn secrets_are_not_shown() {
    for text in [
        "cookie_secret: aGVsbG8\n",
        "cookie_secret: >\n  aGVsbG8\n",
        "{cookie_secret: aGVsbG8}\n",
        "{other: &x aGVsbG8, cookie_secret: *x}\n",
    ] {
        for path in ["cookie_secret", "other"] {
            let shown = shown(text, path);
            assert!(!shown.contains("aGVsbG8"), "{shown}");
            assert!(shown.contains("--> test.yaml"), "{shown}");
        }
    }
}

#[test]
fn a_text_that_cannot_be_parsed_shows_no_secret() {
    let text = "routes: [\ncookie_secret: aGVsbG8\n";
    let mut report = Report::about(source(text));
    assert!(report.file().unwrap().places.is_none());
    for (line, offset) in [(1, 0), (2, 10)] {
        report.add(Finding {
            place: Some(Place {
                line,
                column: 1,
                offset,
                length: 1,
            }),
            ..Finding::of_file(Severity::Problem, "it is wrong")
        });
    }
    let shown = report.unusable(false).to_string();
    assert!(shown.contains("routes: ["), "{shown}");
    assert!(shown.contains("test.yaml:2:1"), "{shown}");
    assert!(!shown.contains("aGVsbG8"), "{shown}");
}

#[test]
fn a_problem_without_a_place_names_its_path() {
    let shown = shown("a: 1\n", "cookie_secret");
    assert!(shown.contains("cookie_secret: it is wrong"), "{shown}");
}

#[test]
fn findings_are_in_the_order_of_the_text() {
    let text = "z: 1\na: 2\nlist:\n  - x\n  - y\n";
    let report = report(text, &["nowhere", "list[1]", "list[0]", "a", "z"]);
    let paths: Vec<&str> = report.findings.iter().map(|found| &*found.path).collect();
    assert_eq!(paths, ["z", "a", "list[0]", "list[1]", "nowhere"]);
}

#[test]
fn no_more_than_a_screenful_is_shown_and_all_are_counted() {
    let mut report = Report::about(source("a: 1\n"));
    for _ in 0..=MAX_SHOWN {
        let found = finding(report.file().unwrap(), Severity::Problem, "a");
        report.add(found);
    }
    let warning = finding(report.file().unwrap(), Severity::Warning, "a");
    report.add(warning);
    let shown = report.unusable(false).to_string();
    assert_eq!(shown.matches("error: ").count(), MAX_SHOWN);
    let last = "test.yaml: 51 problems (1 not shown), 1 warning";
    assert!(shown.ends_with(last), "{shown}");
    assert_eq!(report.to_json(Severity::Problem).len(), MAX_SHOWN + 1);
}

#[test]
fn a_program_gets_places_only_in_the_file() {
    let mut report = report("a: 1\n", &["a"]);
    let other = report.add_source(Source::hidden("the environment variable `A`"));
    report.add(Finding {
        source: other,
        ..finding(report.file().unwrap(), Severity::Problem, "a")
    });
    let told = serde_json::to_value(report.to_json(Severity::Problem)).unwrap();
    let expected = serde_json::json!([
        {"path": "a", "line": 1, "column": 4, "route": null, "message": "it is wrong", "help": "write it right"},
        {"path": "a", "line": null, "column": null, "route": null, "message": "it is wrong", "help": "write it right",
            "source": "the environment variable `A`"},
    ]);
    assert_eq!(told, expected);
}
