//! One map of the file, whose keys are looked up in a table of known keys.

mod values;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config::key::{Key, Support};
use crate::config::keys::is_off;
use crate::diagnostics::{Findings, KeyPath, nearest_key, quoted};

/// One map of the file. Its keys are matched without regard to ASCII case.
pub(super) struct FileMap<'v> {
    key_path: KeyPath,
    /// By key in lower case: the key as it is written, and its value.
    fields: BTreeMap<String, (&'v str, &'v Value)>,
}

impl<'v> FileMap<'v> {
    /// Opens a map, and reports keys that are unknown, without effect, refused or duplicate.
    pub(super) fn open(
        map: &'v Map<String, Value>,
        key_path: KeyPath,
        table: &'static [Key],
        findings: &mut Findings,
    ) -> Self {
        let mut fields: BTreeMap<String, (&'v str, &'v Value)> = BTreeMap::new();
        for (written, value) in map {
            let name = written.to_ascii_lowercase();
            let here = key_path.key(written);
            if fields.contains_key(&name) {
                report_duplicate(written, &here, findings);
                continue;
            }
            match Key::find(table, &name) {
                Some(key) => report_support(key, (written, value), &here, findings),
                None => report_unknown((written, &name), &here, table, findings),
            }
            fields.insert(name, (written, value));
        }
        Self { key_path, fields }
    }

    /// Returns the path of the map itself.
    pub(super) const fn key_path(&self) -> &KeyPath {
        &self.key_path
    }

    /// Returns the path of a key, whether or not the map has it.
    pub(super) fn path_of(&self, key: &str) -> KeyPath {
        let written = self.fields.get(key).map_or(key, |(written, _)| written);
        self.key_path.key(written)
    }

    /// Returns the value of a key; null counts as absent.
    pub(super) fn value(&self, key: &str) -> Option<&'v Value> {
        self.fields
            .get(key)
            .map(|(_, value)| *value)
            .filter(|value| !value.is_null())
    }

    /// Returns whether the map has a key with a value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }
}

fn report_duplicate(written: &str, here: &KeyPath, findings: &mut Findings) {
    findings
        .problem(
            here,
            format!("duplicate key `{written}` (keys are case-insensitive)"),
        )
        .help("keep one of them");
}

fn report_unknown(
    (written, name): (&str, &str),
    here: &KeyPath,
    table: &'static [Key],
    findings: &mut Findings,
) {
    let known = table.iter().map(|key| key.name);
    let known = known.filter(|name| !name.ends_with('*'));
    let note = findings.warning(here, format!("unknown key {}", quoted(written)));
    if let Some(close) = nearest_key(name, known) {
        note.help(format!("did you mean `{close}`?"));
    }
}

/// Reports a key whose value has no effect or is refused.
fn report_support(
    key: &Key,
    (written, value): (&str, &Value),
    here: &KeyPath,
    findings: &mut Findings,
) {
    match key.support {
        Support::Supported(_) | Support::Translated(..) => {}
        Support::Ignored(why) if key.is_contradicted_by(value) => findings
            .problem(here, format!("this value of `{written}` is not supported"))
            .help(why),
        Support::Ignored(why) if !is_nothing(value) => findings
            .warning(here, format!("`{written}` has no effect"))
            .help(why),
        Support::Refused(why) if !is_nothing(value) && !is_off(value) => findings
            .problem(here, format!("`{written}` is not supported"))
            .help(why),
        Support::Ignored(_) | Support::Refused(_) => {}
    }
}

/// Returns whether a value means the same as an absent key.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(string) => string.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
