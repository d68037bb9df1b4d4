//! Typed values of an object. A value of another type is a problem, and counts as absent.

use std::time::Duration;

use serde_json::{Map, Value};

use super::FileMap;
use crate::config::duration::parse_duration;
use crate::config::key::Key;
use crate::diagnostics::{Findings, KeyPath, quoted};

impl<'v> FileMap<'v> {
    /// A text; a number counts as its digits.
    pub(in crate::config) fn string(&self, key: &str, findings: &mut Findings) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => {
                findings
                    .problem(&self.path_of(key), format!("`{key}` takes a text"))
                    .help("put the value in quotes");
                None
            }
        }
    }

    /// [`Self::text`], an empty one counting as absent, as in Pomerium.
    pub(in crate::config) fn non_empty_string(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Option<String> {
        self.string(key, findings).filter(|text| !text.is_empty())
    }

    /// `true` or `false`; false when absent.
    pub(in crate::config) fn flag(&self, key: &str, findings: &mut Findings) -> bool {
        self.optional_flag(key, findings).unwrap_or_default()
    }

    /// `true` or `false`, or as a text what Go's `strconv.ParseBool` takes.
    pub(in crate::config) fn optional_flag(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Option<bool> {
        let flag = match self.value(key)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "t" | "1" => Some(true),
                "false" | "f" | "0" | "" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if flag.is_none() {
            findings
                .problem(
                    &self.path_of(key),
                    format!("`{key}` takes `true` or `false`"),
                )
                .help("write one of them, without quotes");
        }
        flag
    }

    /// A whole number from `least` to `most`.
    pub(in crate::config) fn integer(
        &self,
        key: &str,
        least: u32,
        most: u32,
        findings: &mut Findings,
    ) -> Option<u32> {
        let number = match self.value(key)? {
            Value::Number(number) => number
                .as_u64()
                .and_then(|number| u32::try_from(number).ok()),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            findings
                .problem(
                    &self.path_of(key),
                    format!("`{key}` takes a whole number from {least} to {most}"),
                )
                .help(format!("write for example `{key}: {}`", least.max(1)));
        }
        number
    }

    /// A duration as Go writes it, such as `30s` or `1h30m`.
    pub(in crate::config) fn duration(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Option<Duration> {
        let duration = match self.value(key)? {
            Value::String(text) => parse_duration(text),
            // Pomerium takes a bare number for nanoseconds, which nobody means.
            Value::Number(number) if number.as_u64() == Some(0) => Some(Duration::ZERO),
            _ => None,
        };
        if duration.is_none() {
            findings
                .problem(
                    &self.path_of(key),
                    format!("`{key}` takes a duration with a unit"),
                )
                .help("write for example `30s`, `5m` or `1h30m`");
        }
        duration
    }

    /// A list of texts; a single text is split at commas, as Pomerium does.
    pub(in crate::config) fn strings(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Option<Vec<String>> {
        let list = match self.value(key)? {
            Value::String(text) => return Some(split(text)),
            Value::Array(list) => list.as_slice(),
            _ => &[Value::Null],
        };
        let mut texts = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            match item {
                Value::String(text) if text.is_empty() => findings
                    .problem(&self.path_of(key).item(index), "an empty text in a list")
                    .help("take it out"),
                Value::String(text) => texts.push(text.clone()),
                _ => {
                    findings
                        .problem(&self.path_of(key), format!("`{key}` takes a list of texts"))
                        .help("write `[first, second]`");
                    return None;
                }
            }
        }
        Some(texts)
    }

    /// One of a few words, without regard to case and, as Pomerium's enumerations, to a common beginning.
    pub(in crate::config) fn word<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
        beginning: &str,
        findings: &mut Findings,
    ) -> Option<T> {
        let text = self.non_empty_string(key, findings)?;
        let bare = |word: &str| {
            let word = word.to_ascii_lowercase();
            word.strip_prefix(beginning)
                .map(str::to_owned)
                .unwrap_or(word)
        };
        let written = bare(&text);
        let found = words.iter().find(|(word, _)| bare(word) == written);
        if found.is_none() {
            let listed = words
                .iter()
                .map(|(word, _)| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", ");
            findings
                .problem(
                    &self.path_of(key),
                    format!("{} is no value of `{key}`", quoted(&text)),
                )
                .help_near(
                    &text,
                    words.iter().map(|(word, _)| *word),
                    &format!("write one of {listed}"),
                );
        }
        found.map(|(_, value)| *value)
    }

    /// Names and texts; numbers and flags count as texts. An object may also stand as JSON in a text, which is how an
    /// environment variable holds it.
    pub(in crate::config) fn string_map(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Option<Vec<(String, String)>> {
        let parsed;
        let map = match self.value(key)? {
            Value::Object(map) => Some(map),
            Value::String(text) => {
                parsed = parse_object(text);
                parsed.as_ref()
            }
            _ => None,
        };
        let Some(map) = map else {
            findings
                .problem(&self.path_of(key), format!("`{key}` takes an object"))
                .help("write names and texts, such as `{X-Name: value}`");
            return None;
        };
        let key_path = self.path_of(key);
        Some(
            map.iter()
                .filter_map(|(name, value)| {
                    let text = plain_text(value, &key_path.key(name), findings)?;
                    Some((name.clone(), text))
                })
                .collect(),
        )
    }

    /// The object below a key.
    pub(in crate::config) fn map_below(
        &self,
        key: &str,
        table: &'static [Key],
        findings: &mut Findings,
    ) -> Option<Self> {
        let key_path = self.path_of(key);
        match self.value(key)? {
            Value::Object(map) => Some(Self::open(map, key_path, table, findings)),
            _ => {
                findings
                    .problem(&key_path, format!("`{key}` takes an object"))
                    .help(members(table));
                None
            }
        }
    }

    /// The objects of the list below a key. What is no object is a problem, and left out.
    pub(in crate::config) fn maps_below(
        &self,
        key: &str,
        table: &'static [Key],
        findings: &mut Findings,
    ) -> Vec<Self> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let key_path = self.path_of(key);
        let Value::Array(list) = value else {
            findings
                .problem(&key_path, format!("`{key}` takes a list of objects"))
                .help(members(table));
            return Vec::new();
        };
        let mut objects = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            let key_path = key_path.item(index);
            match item {
                Value::Object(map) => objects.push(Self::open(map, key_path, table, findings)),
                _ => findings
                    .problem(&key_path, format!("an entry of `{key}` must be an object"))
                    .help(members(table)),
            }
        }
        objects
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn parse_object(text: &str) -> Option<Map<String, Value>> {
    match crate::json::parse(text.as_bytes()) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

fn plain_text(value: &Value, key_path: &KeyPath, findings: &mut Findings) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => {
            findings
                .problem(key_path, "a text is needed here")
                .help("put the value in quotes");
            None
        }
    }
}

/// Help that names the keys of an object.
fn members(table: &[Key]) -> String {
    let names = table.iter().map(|key| format!("`{}`", key.name));
    format!(
        "write an object with {}",
        names.collect::<Vec<_>>().join(", ")
    )
}
