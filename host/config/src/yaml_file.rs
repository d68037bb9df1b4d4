//! YAML files other than the configuration itself, read by the same parser and reported in the same way.

use std::path::Path;

use jetway_core::diagnostics::Problem;
use serde_json::Value;

use crate::document::{Document, Duplicate, SyntaxError};
use crate::file::{self, Unreadable};
use crate::redaction::Region;
use crate::report::{About, Finding, Report, Severity, Unusable};
use crate::source::Source;
use crate::text;

/// Most duplicate keys that are collected: more say nothing new, and a file full of them would need memory for each path.
const MAX_DUPLICATES: usize = 50;

/// A YAML file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum YamlFileError {
    /// The file is missing, too large, or must not be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The file is not YAML.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// A YAML or JSON file whose values remember their places.
#[derive(Debug)]
pub struct YamlFile {
    name: String,
    text: String,
    document: Document,
}

impl YamlFile {
    /// Reads a file; `what` names its purpose in messages, `styled` gives reports colours.
    ///
    /// # Errors
    /// A file that cannot be read, or one that is not YAML.
    pub fn open(what: &str, path: &Path, styled: bool) -> Result<Self, YamlFileError> {
        let bytes = file::read(what, path, file::MAX_CONFIG_BYTES)?;
        let name = path.display().to_string();
        let text = text::decode(bytes).map_err(|fault| {
            let finding = Finding {
                place: fault.place,
                ..Finding::of_file(Severity::Problem, fault.message)
            };
            report_one(name.clone(), fault.shown, finding, styled)
        })?;
        Ok(Self::parse(name, text, styled)?)
    }

    /// Parses a string; `name` stands for the file in reports.
    ///
    /// # Errors
    /// A string that is not YAML.
    pub fn parse(name: String, text: String, styled: bool) -> Result<Self, Unusable> {
        match Document::parse(&text) {
            Ok(document) => Ok(Self {
                name,
                text,
                document,
            }),
            Err(fault) => Err(report_one(name, text, to_finding(fault), styled)),
        }
    }

    /// Returns the file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the content as JSON; null for an empty file.
    pub fn content(&self) -> &Value {
        /// The content of an empty file.
        const NOTHING: &Value = &Value::Null;
        match &self.document.value {
            // The document turns an empty file into an empty object, which YAML writes only as `{}`.
            Value::Object(map) if map.is_empty() && !self.text.contains('{') => NOTHING,
            value => value,
        }
    }

    /// Returns a problem for each duplicate key, up to a limit.
    pub fn find_duplicates(&self) -> Vec<Problem> {
        let duplicates = self.document.places.find_duplicates(MAX_DUPLICATES);
        let problem = |duplicate: Duplicate| {
            let (key, line) = (duplicate.key, duplicate.place.line);
            let message = format!("duplicate key `{key}`, again in line {line}");
            Problem::new(duplicate.path, message).help("keep one of them")
        };
        duplicates.into_iter().map(problem).collect()
    }

    /// Returns the line of a path such as `cases[3].request`, if it is known.
    pub fn line_of(&self, path: &str) -> Option<u32> {
        let location = self.document.places.locate(path)?;
        Some(location.key.line)
    }

    /// Returns a report of these problems, each with its place underlined.
    pub fn into_report(self, problems: Vec<Problem>, styled: bool) -> Unusable {
        let mut report = Report::about(Source {
            name: self.name,
            text: self.text,
            places: Some(self.document.places),
            region: Region::Other,
        });
        for problem in problems {
            let about = if problem.message.starts_with("unknown key ") {
                About::Key
            } else {
                About::Value
            };
            report.note(Severity::Problem, problem, about, &Value::Null);
        }
        report.sort();
        report.unusable(styled)
    }
}

fn to_finding(fault: SyntaxError) -> Finding {
    Finding {
        place: fault.place,
        help: fault.help.map(str::to_owned),
        ..Finding::of_file(Severity::Problem, fault.message)
    }
}

fn report_one(name: String, text: String, finding: Finding, styled: bool) -> Unusable {
    let mut report = Report::about(Source {
        name,
        text,
        places: None,
        region: Region::Other,
    });
    report.add(finding);
    report.unusable(styled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> YamlFile {
        YamlFile::parse("c.yaml".to_owned(), text.to_owned(), false).unwrap()
    }

    #[test]
    fn a_path_has_its_line() {
        let file = parse("cases:\n  - name: a\n  - name: b\n");
        assert_eq!(file.line_of("cases[1]"), Some(3));
        assert_eq!(file.line_of("other"), None);
        let problem = Problem::new("cases[1].name", "it is wrong").help("write it right");
        let report = file.into_report(vec![problem], false).to_string();
        for part in ["c.yaml:3:11", "it is wrong", "write it right"] {
            assert!(report.contains(part), "{report}");
        }
    }

    #[test]
    fn an_empty_file_is_not_an_empty_object() {
        for text in ["", "# nothing\n", "null", "~", "---\n"] {
            assert_eq!(parse(text).content(), &Value::Null, "{text:?}");
        }
        assert_eq!(parse("{}").content(), &serde_json::json!({}));
    }

    #[test]
    fn repeated_keys_are_problems() {
        let duplicates = parse("- a: 1\n- b: {c: 1, c: 2}\n").find_duplicates();
        assert_eq!(duplicates.len(), 1);
        assert_eq!(duplicates[0].path, "[1].b.c");
    }

    #[test]
    fn a_file_that_is_not_yaml_is_reported_with_its_name() {
        let refused = YamlFile::parse("c.yaml".to_owned(), "a: [".to_owned(), false);
        assert!(refused.unwrap_err().to_string().contains("c.yaml"));
    }
}
