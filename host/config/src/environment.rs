//! The environment variables that stand for keys of the configuration.

use std::cell::RefCell;
use std::ffi::OsString;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jetway_core::config::keys::ROUTE;
use jetway_core::diagnostics::Problem;
use serde_json::Value;

use crate::document::{Document, Place};
use crate::redaction::Region;
use crate::source::Source;

/// Contains a list of routes, YAML in base64; in Pomerium it stands for the key `policy` of the file.
const POLICY: &str = "POLICY";

/// The variables, and the names of those that were read and are not UTF-8.
pub(crate) struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
    unreadable: RefCell<Vec<String>>,
}

impl<'a> Environment<'a> {
    pub(crate) fn new(lookup: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self {
            lookup,
            unreadable: RefCell::default(),
        }
    }

    /// Returns the value of a variable that stands for a key.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        if name == POLICY {
            return None;
        }
        self.text(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        match (self.lookup)(name)?.into_string() {
            Ok(text) => Some(text),
            Err(_) => {
                self.unreadable.borrow_mut().push(name.to_owned());
                None
            }
        }
    }

    /// Returns a problem for each variable that was read and is not UTF-8.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut names = self.unreadable.borrow().clone();
        names.sort_unstable();
        names.dedup();
        names
            .iter()
            .map(|name| Problem::new("", format!("{} is not UTF-8", describe_variable(name))))
            .collect()
    }

    /// Decodes the routes of `POLICY`, if it is set.
    pub(crate) fn policy(&self) -> Option<Result<Routes, Box<PolicyVariableError>>> {
        let text = self.text(POLICY).filter(|text| !text.is_empty())?;
        Some(Routes::decode(&text))
    }
}

/// Returns the phrase by which findings name a variable.
pub(crate) fn describe_variable(name: &str) -> String {
    format!("the environment variable `{name}`")
}

/// The routes of `POLICY`.
pub(crate) struct Routes {
    pub(crate) list: Value,
    pub(crate) source: Source,
}

/// The reason why the routes of `POLICY` cannot be read, and the source to which it refers.
#[derive(Debug)]
pub(crate) struct PolicyVariableError {
    pub(crate) problem: Problem,
    pub(crate) place: Option<Place>,
    pub(crate) source: Source,
}

impl PolicyVariableError {
    fn new(message: &str, help: &str) -> Self {
        Self {
            problem: Problem::new("", message).help(help),
            place: None,
            source: Source::hidden(describe_variable(POLICY)),
        }
    }
}

/// Routes may hold secrets.
impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

impl Routes {
    fn decode(text: &str) -> Result<Self, Box<PolicyVariableError>> {
        const HELP: &str = "set it to the output of `base64` for a YAML list of routes";
        let unfit = |message| Box::new(PolicyVariableError::new(message, HELP));
        // `base64` breaks its output into lines.
        let compact: String = text.split_ascii_whitespace().collect();
        let bytes = STANDARD
            .decode(compact)
            .map_err(|_| unfit("the value is not base64"))?;
        let text = String::from_utf8(bytes).map_err(|_| unfit("the decoded value is not UTF-8"))?;
        let mut source = Source {
            text,
            region: Region::Keys(ROUTE),
            ..Source::hidden(format!("{}, decoded", describe_variable(POLICY)))
        };
        match Document::parse(&source.text) {
            Ok(Document {
                value: list @ Value::Array(_),
                places,
            }) => {
                source.places = Some(places);
                Ok(Self { list, source })
            }
            Ok(_) => Err(unfit("the decoded value is not a list of routes")),
            Err(fault) => {
                let problem = Problem::new("", fault.message);
                Err(Box::new(PolicyVariableError {
                    problem: match fault.help {
                        Some(help) => problem.help(help),
                        None => problem,
                    },
                    place: fault.place,
                    source,
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::ffi::OsStringExt as _;

    fn routes(text: &str) -> Result<Routes, Box<PolicyVariableError>> {
        let lookup = |name: &str| (name == POLICY).then(|| OsString::from(text));
        Environment::new(&lookup).policy().unwrap()
    }

    #[test]
    fn policy_holds_a_list_of_routes() {
        // As `base64` prints it, with line breaks.
        let encoded = STANDARD.encode("- from: https://a.example.com\n  to: http://b\n");
        let (left, right) = encoded.split_at(20);
        let found = routes(&format!("{left}\n{right}\n")).unwrap();
        assert_eq!(
            found.list,
            json!([{"from": "https://a.example.com", "to": "http://b"}])
        );
        assert_eq!(found.source.locate("[0].to").unwrap().key.line, 2);
    }

    #[test]
    fn a_value_that_is_not_a_list_of_routes_is_refused() {
        for (text, part) in [
            ("- from: x", "not base64"),
            (&STANDARD.encode("a: b"), "not a list"),
            (&STANDARD.encode(b"\xFF"), "not UTF-8"),
            (&STANDARD.encode("- [\n"), "unclosed bracket"),
        ] {
            let message = routes(text).unwrap_err().problem.message;
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_variable_that_is_not_utf8_is_a_problem() {
        let lookup = |name: &str| match name {
            "DOWNSTREAM_MTLS_CA" | "POLICY" => Some(OsString::from("x")),
            "ADDRESS" => Some(OsString::new()),
            "COOKIE_NAME" => Some(OsString::from_vec(vec![0xFF])),
            _ => None,
        };
        let environment = Environment::new(&lookup);
        for name in [
            "DOWNSTREAM_MTLS_CA",
            "ADDRESS",
            "COOKIE_NAME",
            "POLICY",
            "OTHER",
        ] {
            environment.variable(name);
        }
        assert_eq!(environment.variable("POLICY"), None);
        let problems = environment.problems();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].message.contains("`COOKIE_NAME` is not UTF-8"));
    }
}
