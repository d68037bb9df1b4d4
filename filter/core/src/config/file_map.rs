//! One object of the file: its keys, each looked up in the table of what is known.

mod values;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config::key::{Key, Support};
use crate::diagnostics::{Findings, KeyPath};

/// One object, its keys matched without regard to ASCII case.
pub(super) struct FileMap<'v> {
    key_path: KeyPath,
    /// SupportedBy names in lower case: the key as it is written, and its value.
    fields: BTreeMap<String, (&'v str, &'v Value)>,
}

impl<'v> FileMap<'v> {
    /// Opens an object, and reports keys that are unknown, without effect, refused, or there twice.
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
                twice(written, &here, findings);
                continue;
            }
            report(written, &name, value, &here, table, findings);
            fields.insert(name, (written, value));
        }
        Self { key_path, fields }
    }

    pub(super) const fn key_path(&self) -> &KeyPath {
        &self.key_path
    }

    /// Where a key stands, or would stand.
    pub(super) fn path_of(&self, key: &str) -> KeyPath {
        let written = self.fields.get(key).map_or(key, |(written, _)| written);
        self.key_path.key(written)
    }

    /// A key's value; a null counts as absent.
    pub(super) fn value(&self, key: &str) -> Option<&'v Value> {
        self.fields
            .get(key)
            .map(|(_, value)| *value)
            .filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }
}

fn twice(written: &str, here: &KeyPath, findings: &mut Findings) {
    findings
        .problem(
            here,
            format!("`{written}` stands twice, in different spellings"),
        )
        .help("keep one of them");
}

fn report(
    written: &str,
    name: &str,
    value: &Value,
    here: &KeyPath,
    table: &'static [Key],
    findings: &mut Findings,
) {
    let Some(key) = Key::find(table, name) else {
        let known = table.iter().map(|key| key.name);
        findings
            .warning(
                here,
                format!("unknown key {}", crate::diagnostics::quoted(written)),
            )
            .help_near(name, known, "");
        return;
    };
    match key.support {
        Support::Supported(_) | Support::Translated(..) => {}
        Support::Ignored(why) if !is_nothing(value) => findings
            .warning(here, format!("`{written}` has no effect"))
            .help(why),
        Support::Refused(why) if !is_nothing(value) && !is_off(value) => findings
            .problem(here, format!("`{written}` cannot be honoured"))
            .help(why),
        Support::Ignored(_) | Support::Refused(_) => {}
    }
}

/// Whether a value says no more than an absent key.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a value switches something off that is not there anyway.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => !flag,
        Value::String(text) => text.eq_ignore_ascii_case("false"),
        _ => false,
    }
}
