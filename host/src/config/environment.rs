//! The environment variables that a configuration is read with.

use std::cell::RefCell;
use std::ffi::OsString;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jetway_core::config::keys::ROUTE;
use jetway_core::diagnostics::Problem;
use serde_json::Value;

use super::document::{Document, Place};
use super::secrecy::Region;
use super::source::Source;

/// Holds a list of routes, YAML in base64; in Pomerium it stands for the key `policy` of the file.
const POLICY: &str = "POLICY";

/// The variables, and which of them were asked for and are no texts.
pub(super) struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
    unreadable: RefCell<Vec<String>>,
}

impl<'a> Environment<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self {
            lookup,
            unreadable: RefCell::default(),
        }
    }

    /// A variable that holds a key's value.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
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

    /// A problem for each variable that was asked for and is no text.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut names = self.unreadable.borrow().clone();
        names.sort_unstable();
        names.dedup();
        names
            .iter()
            .map(|name| Problem::new("", format!("{} is not UTF-8", called(name))))
            .collect()
    }

    /// The routes of `POLICY`, if it is there.
    pub(super) fn policy(&self) -> Option<Result<Routes, Box<Unfit>>> {
        let text = self.text(POLICY).filter(|text| !text.is_empty())?;
        Some(Routes::decode(&text))
    }
}

/// What findings call a variable.
pub(super) fn called(name: &str) -> String {
    format!("the environment variable `{name}`")
}

/// The routes of `POLICY`.
pub(super) struct Routes {
    pub(super) list: Value,
    pub(super) source: Source,
}

/// Why the routes of `POLICY` cannot be read, and the text that it is about.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) problem: Problem,
    pub(super) place: Option<Place>,
    pub(super) source: Source,
}

impl Unfit {
    fn new(message: &str, help: &str) -> Self {
        Self {
            problem: Problem::new("", message).help(help),
            place: None,
            source: Source::hidden(called(POLICY)),
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
    fn decode(text: &str) -> Result<Self, Box<Unfit>> {
        const HELP: &str = "set it to the output of `base64` for a YAML list of routes";
        let unfit = |message| Box::new(Unfit::new(message, HELP));
        // `base64` breaks its output into lines.
        let compact: String = text.split_ascii_whitespace().collect();
        let bytes = STANDARD
            .decode(compact)
            .map_err(|_| unfit("the value is not base64"))?;
        let text = String::from_utf8(bytes).map_err(|_| unfit("what it holds is not UTF-8"))?;
        let mut source = Source {
            text,
            region: Region::Keys(ROUTE),
            ..Source::hidden(format!("{}, decoded", called(POLICY)))
        };
        match Document::parse(&source.text) {
            Ok(Document {
                value: list @ Value::Array(_),
                places,
            }) => {
                source.places = Some(places);
                Ok(Self { list, source })
            }
            Ok(_) => Err(unfit("what it holds is not a list of routes")),
            Err(fault) => {
                let problem = Problem::new("", fault.message);
                Err(Box::new(Unfit {
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

    fn routes(text: &str) -> Result<Routes, Box<Unfit>> {
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
        assert_eq!(found.source.spot("[0].to").unwrap().key.line, 2);
    }

    #[test]
    fn what_is_no_list_of_routes_is_refused() {
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
    fn what_is_no_text_is_a_problem() {
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
