//! The keys of a file, each once, and what becomes of it.

use std::collections::{HashMap, HashSet};

use jetway_core::config::key::Support;
use jetway_core::config::keys::{Written, visit};
use serde_json::Value;

use super::source::Source;

/// Unknown keys that are kept apart; a file with more is not a configuration.
const MAX_UNKNOWN: usize = 50;
/// Lines of one key that are told.
const MAX_LINES: usize = 3;
/// Paths that are kept for the findings: several times as many as there are findings of one file.
const MAX_MARKED: usize = 10_000;

/// A key of the file.
#[derive(Debug)]
pub(crate) struct KeyUse {
    /// Its name and those around it, without places in lists: `routes[].from`.
    pub(crate) general: String,
    /// Where it stands first.
    pub(crate) path: String,
    /// The lines where it stands, the first few of them.
    pub(crate) lines: Vec<u32>,
    /// How often it is there.
    pub(crate) count: usize,
    /// What becomes of it; `None` when nobody knows it.
    pub(crate) treatment: Option<Support>,
}

impl KeyUse {
    /// The key alone.
    pub(crate) fn name(&self) -> &str {
        self.general.rsplit('.').next().unwrap_or(&self.general)
    }
}

/// The keys of a file.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    keys: Vec<KeyUse>,
    numbers: HashMap<String, usize>,
    unknown: usize,
    /// How many unknown keys are not among the others.
    left_out: usize,
}

impl Survey {
    /// Looks through a file.
    pub(super) fn of(file: &Value, source: &Source) -> Self {
        let mut survey = Self::default();
        let mut general = String::new();
        visit(file, &mut |written| {
            generalise(written.path, &mut general);
            survey.see(&general, &written, source);
        });
        survey.numbers.clear();
        survey.keys.sort_by_key(|key| key.lines.first().copied());
        survey
    }

    /// The keys, in the order of the file.
    pub(crate) fn keys(&self) -> &[KeyUse] {
        &self.keys
    }

    /// How many unknown keys are not among [`Self::keys`].
    pub(crate) fn left_out(&self) -> usize {
        self.left_out
    }

    fn see(&mut self, general: &str, written: &Written<'_>, source: &Source) {
        if let Some(seen) = self
            .numbers
            .get(general)
            .and_then(|at| self.keys.get_mut(*at))
        {
            seen.count += 1;
            if seen.lines.len() < MAX_LINES {
                seen.lines.extend(line(written.path, source));
            }
            return;
        }
        if written.key.is_none() {
            if self.unknown >= MAX_UNKNOWN {
                self.left_out += 1;
                return;
            }
            self.unknown += 1;
        }
        self.numbers.insert(general.to_owned(), self.keys.len());
        self.keys.push(KeyUse {
            general: general.to_owned(),
            path: written.path.to_owned(),
            lines: line(written.path, source).into_iter().collect(),
            count: 1,
            treatment: written.key.map(|key| key.support),
        });
    }
}

fn line(path: &str, source: &Source) -> Option<u32> {
    source.spot(path).map(|spot| spot.key.line)
}

/// `Routes[12].From` becomes `routes[].from`.
fn generalise(path: &str, general: &mut String) {
    general.clear();
    let mut in_brackets = false;
    for c in path.chars() {
        in_brackets = match c {
            '[' => true,
            ']' => false,
            _ => in_brackets,
        };
        if !in_brackets || c == '[' {
            general.push(c.to_ascii_lowercase());
        }
    }
}

/// Paths of keys that are not what their values are read for.
#[derive(Debug, Default)]
pub(super) struct Marks {
    unknown: HashSet<String>,
    without_effect: HashSet<String>,
}

impl Marks {
    /// Looks through a file.
    pub(super) fn of(file: &Value) -> Self {
        let mut marks = Self::default();
        visit(file, &mut |written| {
            let set = match written.key.map(|key| key.support) {
                Some(Support::Supported(_) | Support::Translated(..)) => return,
                Some(Support::Ignored(_) | Support::Refused(_)) => &mut marks.without_effect,
                None => &mut marks.unknown,
            };
            if set.len() < MAX_MARKED {
                set.insert(written.path.to_owned());
            }
        });
        marks
    }

    /// Whether nobody knows the key at a path.
    pub(super) fn is_unknown(&self, path: &str) -> bool {
        self.unknown.contains(path)
    }

    /// Whether findings at a path are about the key there, which is unknown, ignored or refused.
    pub(super) fn is_about_key(&self, path: &str) -> bool {
        self.is_unknown(path) || self.without_effect.contains(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::Document;

    fn survey(text: &str) -> Survey {
        let document = Document::parse(text).unwrap();
        let source = Source {
            places: Some(document.places),
            ..Source::hidden("test.yaml")
        };
        Survey::of(&document.value, &source)
    }

    #[test]
    fn each_key_is_there_once_with_its_lines() {
        let text = "\
log_level: debug
Routes:
  - from: a
  - From: b
  - from: c
  - from: d
    frm: e
";
        let survey = survey(text);
        let told: Vec<_> = survey
            .keys()
            .iter()
            .map(|key| (&*key.general, &*key.path, key.lines.as_slice(), key.count))
            .collect();
        let expected: [(&str, &str, &[u32], usize); 4] = [
            ("log_level", "log_level", &[1], 1),
            ("routes", "Routes", &[2], 1),
            ("routes[].from", "Routes[0].from", &[3, 4, 5], 4),
            ("routes[].frm", "Routes[3].frm", &[7], 1),
        ];
        assert_eq!(told, expected);
        let [ignored, routes, from, unknown] = survey.keys() else {
            panic!("four keys");
        };
        assert!(matches!(routes.treatment, Some(Support::Supported(_))));
        assert_eq!(from.name(), "from");
        assert_eq!(unknown.treatment, None);
        assert!(matches!(ignored.treatment, Some(Support::Ignored(_))));
    }

    #[test]
    fn unknown_keys_are_bounded() {
        let text: String = (0..1000).map(|number| format!("k{number}: 1\n")).collect();
        let survey = survey(&text);
        assert_eq!(survey.keys().len(), MAX_UNKNOWN);
        assert_eq!(survey.left_out(), 1000 - MAX_UNKNOWN);
    }

    #[test]
    fn marks_tell_keys_from_values() {
        let file = serde_json::json!({"frm": 1, "log_level": 2, "address": 3});
        let marks = Marks::of(&file);
        assert!(marks.is_unknown("frm") && marks.is_about_key("frm"));
        assert!(!marks.is_unknown("log_level") && marks.is_about_key("log_level"));
        assert!(!marks.is_about_key("address"));
    }
}
