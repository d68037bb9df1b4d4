//! `jetway reference`: the keys of the configuration file and the policy language, as Markdown.

mod configuration;
mod policy_language;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use clap::{Args, ValueEnum};

use configuration::configuration_reference;
use policy_language::policy_reference;

/// Print the reference of the configuration file or of the policy language, as Markdown.
#[derive(Args, Debug)]
pub(crate) struct ReferenceArgs {
    /// The reference to print.
    #[arg(value_enum, default_value_t = Topic::Configuration)]
    topic: Topic,
}

/// The subject of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Topic {
    /// Every key of the configuration file.
    Configuration,
    /// The operators, criteria and matchers of policies.
    Policy,
}

/// Prints the reference.
///
/// # Errors
/// Fails when standard output is closed.
pub(crate) fn run(args: &ReferenceArgs) -> anyhow::Result<()> {
    let reference = match args.topic {
        Topic::Configuration => configuration_reference(),
        Topic::Policy => policy_reference(),
    };
    super::print(reference.as_bytes())
}

/// Appends a table. A cell must not contain a line break.
fn write_table(markdown: &mut String, columns: &[&str], rows: &[Vec<String>]) {
    // Writing to a string cannot fail.
    let _ = write!(
        markdown,
        "\n| {} |\n|{}\n",
        columns.join(" | "),
        "---|".repeat(columns.len())
    );
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| escape_cell(cell)).collect();
        let _ = writeln!(markdown, "| {} |", cells.join(" | "));
    }
}

/// Escapes the bars in a cell, which would end it.
fn escape_cell(cell: &str) -> String {
    cell.replace('|', r"\|")
}
