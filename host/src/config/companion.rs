//! YAML that is not the configuration itself, read by the same parser and reported about in the same way.

use std::path::Path;

use jetway_core::diagnostics::Problem;
use jetway_proxy::file;
use jetway_proxy::limits;
use serde_json::Value;

use super::document::{Document, Duplicate, SyntaxFault};
use super::report::{About, Finding, Report, Severity, Unusable};
use super::secrecy::Region;
use super::source::Source;
use super::text;

/// Most repeated keys that are looked for: nobody reads on, and a text full of them would need memory for each path.
const MAX_DUPLICATES: usize = 50;

/// A YAML or JSON text whose values remember where they stand.
#[derive(Debug)]
pub(crate) struct Companion {
    name: String,
    text: String,
    document: Document,
}

impl Companion {
    /// Reads a file; `what` names its purpose in messages, `styled` gives reports colours.
    ///
    /// # Errors
    /// A file that cannot be read, or [`Unusable`] for one that is not YAML.
    pub(crate) fn open(what: &str, path: &Path, styled: bool) -> anyhow::Result<Self> {
        let bytes = file::read(what, path, limits::CONFIG_FILE)?;
        let name = path.display().to_string();
        let text = text::decode(bytes).map_err(|fault| {
            let finding = Finding {
                place: fault.place,
                ..Finding::of_file(Severity::Problem, fault.message)
            };
            unusable(name.clone(), fault.shown, finding, styled)
        })?;
        Ok(Self::parse(name, text, styled)?)
    }

    /// Parses a text; `name` stands for the file in reports.
    ///
    /// # Errors
    /// A text that is not YAML.
    pub(crate) fn parse(name: String, text: String, styled: bool) -> Result<Self, Unusable> {
        match Document::parse(&text) {
            Ok(document) => Ok(Self {
                name,
                text,
                document,
            }),
            Err(fault) => Err(unusable(name, text, syntax(fault), styled)),
        }
    }

    /// The file's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The text as JSON; null when it holds nothing.
    pub(crate) fn content(&self) -> &Value {
        /// What an empty text means.
        const NOTHING: &Value = &Value::Null;
        match &self.document.value {
            // The document takes nothing for an empty object, which has no other form in YAML than this.
            Value::Object(map) if map.is_empty() && !self.text.contains('{') => NOTHING,
            value => value,
        }
    }

    /// Keys that stand twice in one object, each as a problem; when there are very many, the first of them.
    pub(crate) fn duplicates(&self) -> Vec<Problem> {
        let duplicates = self.document.places.duplicates(MAX_DUPLICATES);
        let problem = |duplicate: Duplicate| {
            let (key, line) = (duplicate.key, duplicate.place.line);
            let message = format!("`{key}` stands here and again in line {line}");
            Problem::new(duplicate.path, message).help("keep one of them")
        };
        duplicates.into_iter().map(problem).collect()
    }

    /// Where a path such as `cases[3].request` leads, as `file:line`; the file alone when that is not known.
    pub(crate) fn place(&self, path: &str) -> String {
        match self.document.places.spot(path) {
            Some(spot) => format!("{}:{}", self.name, spot.key.line),
            None => self.name.clone(),
        }
    }

    /// Everything that is wrong with the text, each with its line underlined.
    pub(crate) fn into_report(self, problems: Vec<Problem>, styled: bool) -> Unusable {
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

fn syntax(fault: SyntaxFault) -> Finding {
    Finding {
        place: fault.place,
        help: fault.help.map(str::to_owned),
        ..Finding::of_file(Severity::Problem, fault.message)
    }
}

fn unusable(name: String, text: String, finding: Finding, styled: bool) -> Unusable {
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

    fn parse(text: &str) -> Companion {
        Companion::parse("c.yaml".to_owned(), text.to_owned(), false).unwrap()
    }

    #[test]
    fn a_path_leads_to_its_line() {
        let companion = parse("cases:\n  - name: a\n  - name: b\n");
        assert_eq!(companion.place("cases[1]"), "c.yaml:3");
        assert_eq!(companion.place("other"), "c.yaml");
        let problem = Problem::new("cases[1].name", "it is wrong").help("write it right");
        let report = companion.into_report(vec![problem], false).to_string();
        for part in ["c.yaml:3:11", "it is wrong", "write it right"] {
            assert!(report.contains(part), "{report}");
        }
    }

    #[test]
    fn nothing_is_no_object() {
        for text in ["", "# nothing\n", "null", "~", "---\n"] {
            assert_eq!(parse(text).content(), &Value::Null, "{text:?}");
        }
        assert_eq!(parse("{}").content(), &serde_json::json!({}));
    }

    #[test]
    fn repeated_keys_are_problems() {
        let duplicates = parse("- a: 1\n- b: {c: 1, c: 2}\n").duplicates();
        assert_eq!(duplicates.len(), 1);
        assert_eq!(duplicates[0].path, "[1].b.c");
    }

    #[test]
    fn what_is_not_yaml_is_reported_with_its_name() {
        let refused = Companion::parse("c.yaml".to_owned(), "a: [".to_owned(), false);
        assert!(refused.unwrap_err().to_string().contains("c.yaml"));
    }
}
