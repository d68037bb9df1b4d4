//! The keys of a file, each once, and how each is supported.

use std::collections::{HashMap, HashSet};

use jetway_core::config::key::Support;
use jetway_core::config::keys::{Written, visit};
use serde_json::Value;

use crate::source::Source;

/// Most unknown keys that are listed; a file with more is not a configuration.
const MAX_UNKNOWN: usize = 50;
/// Most lines that are listed for one key.
const MAX_LINES: usize = 3;
/// Most paths that are kept for the findings: several times as many as a file may have findings.
const MAX_MARKED: usize = 10_000;

/// A key of the file.
#[derive(Debug)]
pub struct UsedKey {
    /// Its path without indices in lists: `routes[].from`.
    pub general: String,
    /// The path of its first use.
    pub path: String,
    /// The first few lines in which it is used.
    pub lines: Vec<u32>,
    /// The number of its uses.
    pub count: usize,
    /// How it is supported; `None` for an unknown key.
    pub treatment: Option<Support>,
}

impl UsedKey {
    /// Returns the last part of its path.
    pub fn name(&self) -> &str {
        self.general.rsplit('.').next().unwrap_or(&self.general)
    }
}

/// The keys of a file.
#[derive(Debug, Default)]
pub struct KeyUsage {
    keys: Vec<UsedKey>,
    numbers: HashMap<String, usize>,
    unknown: usize,
    /// The number of unknown keys that are not listed.
    left_out: usize,
}

impl KeyUsage {
    /// Collects the keys of a file.
    pub(crate) fn of(file: &Value, source: &Source) -> Self {
        let mut usage = Self::default();
        let mut general = String::new();
        visit(file, &mut |written| {
            generalise(written.path, &mut general);
            usage.record(&general, &written, source);
        });
        usage.numbers.clear();
        usage.keys.sort_by_key(|key| key.lines.first().copied());
        usage
    }

    /// Returns the keys, in the order of the file.
    pub fn keys(&self) -> &[UsedKey] {
        &self.keys
    }

    /// Returns the number of unknown keys that are not among [`Self::keys`].
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    fn record(&mut self, general: &str, written: &Written<'_>, source: &Source) {
        if let Some(seen) = self
            .numbers
            .get(general)
            .and_then(|at| self.keys.get_mut(*at))
        {
            seen.count += 1;
            if seen.lines.len() < MAX_LINES {
                seen.lines.extend(find_line(written.path, source));
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
        self.keys.push(UsedKey {
            general: general.to_owned(),
            path: written.path.to_owned(),
            lines: find_line(written.path, source).into_iter().collect(),
            count: 1,
            treatment: written.support(),
        });
    }
}

fn find_line(path: &str, source: &Source) -> Option<u32> {
    source.locate(path).map(|location| location.key.line)
}

/// Turns `Routes[12].From` into `routes[].from`.
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

/// The paths of keys that are unknown or have no effect.
#[derive(Debug, Default)]
pub(crate) struct FlaggedPaths {
    unknown: HashSet<String>,
    without_effect: HashSet<String>,
}

impl FlaggedPaths {
    /// Collects the paths of a file.
    pub(crate) fn of(file: &Value) -> Self {
        let mut flagged = Self::default();
        visit(file, &mut |written| {
            let set = match written.support() {
                Some(Support::Supported(_) | Support::Translated(..)) => return,
                Some(Support::Ignored(_) | Support::Refused(_)) => &mut flagged.without_effect,
                None => &mut flagged.unknown,
            };
            if set.len() < MAX_MARKED {
                set.insert(written.path.to_owned());
            }
        });
        flagged
    }

    /// Whether the key at a path is unknown.
    pub(crate) fn is_unknown(&self, path: &str) -> bool {
        self.unknown.contains(path)
    }

    /// Whether findings at a path are about its key, because it is unknown, ignored or refused.
    pub(crate) fn is_about_key(&self, path: &str) -> bool {
        self.is_unknown(path) || self.without_effect.contains(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;

    fn usage(text: &str) -> KeyUsage {
        let document = Document::parse(text).unwrap();
        let source = Source {
            places: Some(document.places),
            ..Source::hidden("test.yaml")
        };
        KeyUsage::of(&document.value, &source)
    }

    #[test]
    fn each_key_is_listed_once_with_its_lines() {
        let text = "\
log_level: debug
Routes:
  - from: a
  - From: b
  - from: c
  - from: d
    frm: e
";
        let usage = usage(text);
        let told: Vec<_> = usage
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
        let [ignored, routes, from, unknown] = usage.keys() else {
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
        let usage = usage(&text);
        assert_eq!(usage.keys().len(), MAX_UNKNOWN);
        assert_eq!(usage.left_out(), 1000 - MAX_UNKNOWN);
    }

    #[test]
    fn flagged_paths_are_about_keys() {
        let file = serde_json::json!({"frm": 1, "log_level": 2, "address": 3});
        let flagged = FlaggedPaths::of(&file);
        assert!(flagged.is_unknown("frm") && flagged.is_about_key("frm"));
        assert!(!flagged.is_unknown("log_level") && flagged.is_about_key("log_level"));
        assert!(!flagged.is_about_key("address"));
    }
}
