//! Reads typed values from one map of a file of cases.

use jetway_core::diagnostics::{Problem, nearest};
use serde_json::{Map, Value};

/// The problems of a case.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
}

impl Findings {
    pub(super) fn problem(&mut self, path: &str, message: impl Into<String>, help: &str) {
        let problem = Problem::new(path, message);
        self.problems.push(if help.is_empty() {
            problem
        } else {
            problem.help(help)
        });
    }
}

/// How unknown keys are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Each is a problem.
    Refused,
    /// Only one that looks like a typing error is; the others are remarks of the author.
    Tolerated,
}

/// One map.
pub(super) struct Fields<'v> {
    path: String,
    map: &'v Map<String, Value>,
}

impl<'v> Fields<'v> {
    /// Opens a map, and reports keys that are not among `known`.
    pub(super) fn open(
        value: &'v Value,
        path: &str,
        known: &[&'static str],
        unknown: Unknown,
        findings: &mut Findings,
    ) -> Option<Self> {
        let Value::Object(map) = value else {
            findings.problem(
                path,
                "this must be a map",
                &format!("its keys may be {}", join_quoted(known)),
            );
            return None;
        };
        let fields = Self {
            path: path.to_owned(),
            map,
        };
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            fields.report(key, known, unknown, findings);
        }
        Some(fields)
    }

    fn report(&self, key: &str, known: &[&'static str], unknown: Unknown, findings: &mut Findings) {
        let path = self.path_of(key);
        let message = format!("unknown key `{key}`");
        match nearest(key, known.iter().copied()) {
            Some(close) => findings.problem(&path, message, &format!("did you mean `{close}`?")),
            None if unknown == Unknown::Refused => {
                let help = format!("the keys here are {}", join_quoted(known));
                findings.problem(&path, message, &help);
            }
            None => {}
        }
    }

    /// Returns the path of a key.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Returns the value of a key; null counts as absent.
    pub(super) fn value(&self, key: &str) -> Option<&'v Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether the key is given, even as null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Returns a string.
    pub(super) fn string(&self, key: &str, findings: &mut Findings) -> Option<&'v str> {
        let text = self.value(key)?.as_str();
        if text.is_none() {
            findings.problem(
                &self.path_of(key),
                format!("`{key}` must be a string"),
                "put the value in quotes",
            );
        }
        text
    }

    /// Parses a string.
    pub(super) fn read<T>(
        &self,
        key: &str,
        findings: &mut Findings,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.string(key, findings)?;
        read(text)
            .map_err(|message| findings.problem(&self.path_of(key), message, ""))
            .ok()
    }

    /// Returns a boolean.
    pub(super) fn flag(&self, key: &str, findings: &mut Findings) -> Option<bool> {
        let flag = self.value(key)?.as_bool();
        if flag.is_none() {
            let message = format!("`{key}` must be `true` or `false`");
            findings.problem(&self.path_of(key), message, "");
        }
        flag
    }

    /// Returns a list of strings, which may be written as one string; empty when the key is absent.
    pub(super) fn strings(&self, key: &str, findings: &mut Findings) -> Vec<String> {
        let texts = match self.value(key) {
            None => Some(Vec::new()),
            Some(Value::String(text)) => Some(vec![text.clone()]),
            Some(Value::Array(list)) => list
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect(),
            Some(_) => None,
        };
        texts.unwrap_or_else(|| {
            findings.problem(
                &self.path_of(key),
                format!("`{key}` must be a list of strings"),
                "write `[first, second]`",
            );
            Vec::new()
        })
    }

    /// Returns a map with any keys; empty when the key is absent.
    pub(super) fn map(&self, key: &str, findings: &mut Findings) -> Map<String, Value> {
        match self.value(key) {
            None => Map::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(_) => {
                let message = format!("`{key}` must be a map");
                findings.problem(&self.path_of(key), message, "write `{name: value}`");
                Map::new()
            }
        }
    }
}

fn join_quoted(known: &[&str]) -> String {
    let quoted: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KNOWN: [&str; 2] = ["name", "expect"];

    fn open(value: &Value, unknown: Unknown) -> Findings {
        let mut findings = Findings::default();
        Fields::open(value, "cases[0]", &KNOWN, unknown, &mut findings);
        findings
    }

    #[test]
    fn typing_errors_are_problems_and_remarks_may_be_tolerated() {
        let value = json!({"name": "a", "expct": "b", "colour": 1});
        let strict = open(&value, Unknown::Refused);
        let paths: Vec<&str> = strict.problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["cases[0].colour", "cases[0].expct"]);
        let lenient = open(&value, Unknown::Tolerated);
        assert_eq!(lenient.problems.len(), 1);
        assert_eq!(
            lenient.problems[0].help.as_deref(),
            Some("did you mean `expect`?")
        );
    }

    #[test]
    fn a_value_that_is_not_a_map_is_reported() {
        assert_eq!(open(&json!([]), Unknown::Tolerated).problems.len(), 1);
    }
}
