//! Reads typed values from a map. A value of another type is a problem and counts as absent.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::duration::parse_duration;
use crate::config::file_map::FileMap;
use crate::config::key::Key;
use crate::diagnostics::{Findings, KeyPath, quoted};

impl<'v> FileMap<'v> {
    /// Reads a string; a number counts as its digits.
    pub(in crate::config) fn string(&self, key: &str, findings: &mut Findings) -> Option<String> {
        match self.value(key)? {
            Value::String(string) => Some(string.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => {
                findings
                    .problem(&self.path_of(key), format!("`{key}` must be a string"))
                    .help("put the value in quotes");
                None
            }
        }
    }

    /// Reads a string; an empty string counts as absent, as in Pomerium.
    pub(in crate::config) fn non_empty_string(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Option<String> {
        self.string(key, findings)
            .filter(|string| !string.is_empty())
    }

    /// Reads `true` or `false`; an absent key is false.
    pub(in crate::config) fn flag(&self, key: &str, findings: &mut Findings) -> bool {
        self.optional_flag(key, findings).unwrap_or_default()
    }

    /// Reads `true` or `false`, or a string that Go's `strconv.ParseBool` accepts.
    pub(in crate::config) fn optional_flag(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Option<bool> {
        let flag = match self.value(key)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(string) => match string.to_ascii_lowercase().as_str() {
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
                    format!("`{key}` must be `true` or `false`"),
                )
                .help("write one of them, without quotes");
        }
        flag
    }

    /// Reads an integer from `least` to `most`.
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
            Value::String(string) => string.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            findings
                .problem(
                    &self.path_of(key),
                    format!("`{key}` must be an integer from {least} to {most}"),
                )
                .help(format!("write for example `{key}: {}`", least.max(1)));
        }
        number
    }

    /// Reads a duration in Go's syntax, such as `30s` or `1h30m`.
    pub(in crate::config) fn duration(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Option<Duration> {
        let duration = match self.value(key)? {
            Value::String(string) => parse_duration(string),
            // Pomerium reads a bare number as nanoseconds, which is hardly ever intended.
            Value::Number(number) if number.as_u64() == Some(0) => Some(Duration::ZERO),
            _ => None,
        };
        if duration.is_none() {
            findings
                .problem(
                    &self.path_of(key),
                    format!("`{key}` must be a duration with a unit"),
                )
                .help("write for example `30s`, `5m` or `1h30m`");
        }
        duration
    }

    /// Reads a list of strings; a single string is split at commas, as in Pomerium.
    pub(in crate::config) fn strings(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Option<Vec<String>> {
        let list = match self.value(key)? {
            Value::String(string) => return Some(split_at_commas(string)),
            Value::Array(list) => list.as_slice(),
            _ => &[Value::Null],
        };
        let mut strings = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            match item {
                Value::String(string) if string.is_empty() => findings
                    .problem(&self.path_of(key).item(index), "empty string in list")
                    .help("remove it"),
                Value::String(string) => strings.push(string.clone()),
                _ => {
                    findings
                        .problem(
                            &self.path_of(key),
                            format!("`{key}` must be a list of strings"),
                        )
                        .help("write `[first, second]`");
                    return None;
                }
            }
        }
        Some(strings)
    }

    /// Reads one of a few words, without regard to case and, as for Pomerium's enumerations, to a common prefix.
    pub(in crate::config) fn word<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
        beginning: &str,
        findings: &mut Findings,
    ) -> Option<T> {
        let string = self.non_empty_string(key, findings)?;
        let bare = |word: &str| {
            let word = word.to_ascii_lowercase();
            word.strip_prefix(beginning)
                .map(str::to_owned)
                .unwrap_or(word)
        };
        let written = bare(&string);
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
                    format!("{} is not a value of `{key}`", quoted(&string)),
                )
                .help_near(
                    &string,
                    words.iter().map(|(word, _)| *word),
                    &format!("write one of {listed}"),
                );
        }
        found.map(|(_, value)| *value)
    }

    /// Reads a map of strings; numbers and booleans count as strings. The map may also be JSON in a string, which is the
    /// form of an environment variable.
    pub(in crate::config) fn string_map(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Option<Vec<(String, String)>> {
        let parsed;
        let map = match self.value(key)? {
            Value::Object(map) => Some(map),
            Value::String(string) => {
                parsed = parse_object(string);
                parsed.as_ref()
            }
            _ => None,
        };
        let Some(map) = map else {
            findings
                .problem(&self.path_of(key), format!("`{key}` must be a map"))
                .help("write a map of strings, such as `{X-Name: value}`");
            return None;
        };
        let key_path = self.path_of(key);
        Some(
            map.iter()
                .filter_map(|(name, value)| {
                    let string = read_plain(value, &key_path.key(name), findings)?;
                    Some((name.clone(), string))
                })
                .collect(),
        )
    }

    /// Opens the map below a key.
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
                    .problem(&key_path, format!("`{key}` must be a map"))
                    .help(help_with_keys(table));
                None
            }
        }
    }

    /// Opens each map of the list below a key. An item that is not a map is a problem and left out.
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
                .problem(&key_path, format!("`{key}` must be a list of maps"))
                .help(help_with_keys(table));
            return Vec::new();
        };
        let mut maps = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            let key_path = key_path.item(index);
            match item {
                Value::Object(map) => maps.push(Self::open(map, key_path, table, findings)),
                _ => findings
                    .problem(&key_path, format!("each item of `{key}` must be a map"))
                    .help(help_with_keys(table)),
            }
        }
        maps
    }
}

fn split_at_commas(string: &str) -> Vec<String> {
    string
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn parse_object(string: &str) -> Option<Map<String, Value>> {
    match crate::json::parse(string.as_bytes()) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

fn read_plain(value: &Value, key_path: &KeyPath, findings: &mut Findings) -> Option<String> {
    match value {
        Value::String(string) => Some(string.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => {
            findings
                .problem(key_path, "must be a string")
                .help("put the value in quotes");
            None
        }
    }
}

/// Returns a help that names the keys of a map.
fn help_with_keys(table: &[Key]) -> String {
    let names = table.iter().map(|key| format!("`{}`", key.name));
    format!("write a map with {}", names.collect::<Vec<_>>().join(", "))
}
