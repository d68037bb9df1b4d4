//! `jetway schema`: prints a JSON Schema of the configuration file.

mod keys;
#[cfg(test)]
mod tests;

use clap::Args;
use jetway_core::config::keys::{GLOBAL, ROUTE};
use jetway_core::policy::schema::definitions;
use serde_json::{Value, json};

/// Print a JSON Schema of the configuration file, for editors.
///
/// Editors with the YAML language server use it when the file begins with `# yaml-language-server:
/// $schema=jetway.schema.json`. Keys that have no effect, or that are refused, are marked as deprecated with the reason. A
/// schema cannot express that keys are case-insensitive: write them in lower case.
#[derive(Args, Debug)]
pub(crate) struct SchemaArgs {}

/// Prints the schema.
///
/// # Errors
/// Standard output is gone.
pub(crate) fn run(_: &SchemaArgs) -> anyhow::Result<()> {
    super::print(format!("{}\n", serde_json::to_string_pretty(&build_schema())?).as_bytes())
}

/// Builds the schema of the whole file (JSON Schema, draft 2020-12) from the tables of keys that the reader uses.
fn build_schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of Jetway",
        "description": "Pomerium's file as Jetway reads it. Keys are case-insensitive; this schema has them in lower case.",
    });
    let mut definitions = definitions();
    definitions.insert("route".to_owned(), keys::object(ROUTE));
    if let (Value::Object(schema), Value::Object(file)) = (&mut schema, keys::object(GLOBAL)) {
        schema.extend(file);
        schema.insert("$defs".to_owned(), Value::Object(definitions));
    }
    schema
}
