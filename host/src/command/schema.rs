//! `jetway schema`: the JSON Schema of the configuration file, for editors.

mod keys;
#[cfg(test)]
mod tests;

use clap::Args;
use jetway_core::config::keys::{GLOBAL, ROUTE};
use jetway_core::policy::schema::definitions;
use serde_json::{Value, json};

/// Print a JSON Schema of the configuration file, for editors.
///
/// Editors with the YAML language server use it when the file begins with
/// `# yaml-language-server: $schema=jetway.schema.json`. Keys without effect and refused keys are marked as deprecated, with
/// the reason. Jetway ignores the case of keys, which a schema cannot express: write keys in lower case.
#[derive(Args, Debug)]
pub(crate) struct SchemaArgs {}

/// Prints the schema.
///
/// # Errors
/// Fails when standard output is closed.
pub(crate) fn run(_: &SchemaArgs) -> anyhow::Result<()> {
    super::print(format!("{}\n", serde_json::to_string_pretty(&build_schema())?).as_bytes())
}

/// Builds the schema of the whole file (JSON Schema, draft 2020-12) from the tables that the file is read with.
fn build_schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of Jetway",
        "description": "A configuration file in Pomerium's format. Keys are case-insensitive; this schema has them in lower case.",
    });
    let mut definitions = definitions();
    definitions.insert("route".to_owned(), keys::map_schema(ROUTE));
    if let (Value::Object(schema), Value::Object(file)) = (&mut schema, keys::map_schema(GLOBAL)) {
        schema.extend(file);
        schema.insert("$defs".to_owned(), Value::Object(definitions));
    }
    schema
}
