//! `jetway reference`: prints the reference of the configuration keys, as Markdown.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use clap::Args;
use jetway_core::config::key::{Key, Kind, Support, SupportedBy};
use jetway_core::config::keys::{GLOBAL, ROUTE};
use jetway_core::http::header::RESERVED;

/// Print the reference of all keys of the configuration file, as Markdown.
#[derive(Args, Debug)]
pub(crate) struct ReferenceArgs {}

/// Prints the reference.
///
/// # Errors
/// Standard output is gone.
pub(crate) fn run(_: &ReferenceArgs) -> anyhow::Result<()> {
    super::print(render_reference().as_bytes())
}

const HEAD: &str = "\
# The keys of the file

Written by `jetway reference` from the table of keys that the reader uses. The keys are those of Pomerium's file, and are
case-insensitive. *By* names the parts that support a key: the module (so that it behaves identically in every proxy), Jetway's
own proxy (the host), and the configuration that `jetway envoy-config` writes for Envoy.

An environment variable of the same name in upper case overrides a key at the top of the file, except lists of maps (`routes`,
`certificates`): `COOKIE_SECRET` overrides `cookie_secret`, and `DOWNSTREAM_MTLS_CA_FILE` overrides `ca_file` below
`downstream_mtls`. `HEADERS` also overrides `set_response_headers`. `POLICY` contains a list of routes, YAML in base64, and
replaces the key `policy`. Paths of files are relative to the working directory. Durations are written as in
Go: `30s`, `1h30m`. A list of strings may be written as one string with commas.

`jetway check` lists the same for one file. A key that is not listed here is unknown, which is a warning, and an error with
`--strict`.
";

/// Renders the whole reference.
fn render_reference() -> String {
    let mut text = String::from(HEAD);
    render_section(&mut text, "At the top of the file", GLOBAL);
    render_section(&mut text, "In a route", ROUTE);
    for (key, table) in collect_maps() {
        render_section(&mut text, &format!("Below `{}`", key.name), table);
    }
    render_reserved_headers(&mut text);
    text
}

const RESERVED_HEAD: &str = "
## Headers that clients cannot send

These request headers are removed from every client's request before an upstream sees it, as are those of
`jwt_claims_headers` and `reserved_request_headers`. A `*` stands for the rest of a name; `_` and `.` count as `-`.
`X-Forwarded-For` and `X-Forwarded-Proto` are written by the proxy, and `set_request_headers` may set any of the others.

| headers | why |
|---|---|
";

fn render_reserved_headers(text: &mut String) {
    text.push_str(RESERVED_HEAD);
    for group in RESERVED {
        let names: Vec<String> = group.names.iter().map(|name| format!("`{name}`")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} | {} |", names.join(", "), group.why);
    }
}

/// Returns the keys whose values are maps other than routes, each with the keys below it, in the order of the tables.
fn collect_maps() -> Vec<(&'static Key, &'static [Key])> {
    let mut found: Vec<(&Key, &[Key])> = Vec::new();
    for key in GLOBAL.iter().chain(ROUTE) {
        let (Kind::Object(table) | Kind::Objects(table)) = key.kind else {
            continue;
        };
        let is_known = |(_, other): &(&Key, &[Key])| std::ptr::eq(*other, table);
        if !std::ptr::eq(table, ROUTE) && !found.iter().any(is_known) {
            found.push((key, table));
        }
    }
    found
}

fn render_section(text: &mut String, title: &str, table: &'static [Key]) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\n## {title}\n");
    let honoured = |key: &Key| matches!(key.treatment, Support::Supported(_));
    let translated = |key: &Key| matches!(key.treatment, Support::Translated(..));
    let refused = |key: &Key| matches!(key.treatment, Support::Refused(_));
    let ignored = |key: &Key| matches!(key.treatment, Support::Ignored(_));
    render_rows(
        text,
        table,
        &|key| honoured(key) || translated(key),
        "",
        &["key", "type", "effect", "by"],
    );
    render_rows(
        text,
        table,
        &ignored,
        "Accepted without effect, with a warning:",
        &["key", "why"],
    );
    render_rows(
        text,
        table,
        &refused,
        "Refused, because ignoring them would change the meaning:",
        &["key", "why, and what to write instead"],
    );
}

/// Renders a table of the chosen keys; nothing when there are none.
fn render_rows(
    text: &mut String,
    table: &'static [Key],
    chosen: &dyn Fn(&Key) -> bool,
    lead: &str,
    columns: &[&str],
) {
    let keys: Vec<&Key> = table.iter().filter(|key| chosen(key)).collect();
    if keys.is_empty() {
        return;
    }
    if !lead.is_empty() {
        let _ = write!(text, "\n{lead}\n");
    }
    let _ = write!(
        text,
        "\n| {} |\n|{}\n",
        columns.join(" | "),
        "---|".repeat(columns.len())
    );
    for key in keys {
        let cells: Vec<String> = render_row(key)
            .iter()
            .map(|cell| escape_cell(cell))
            .collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

fn render_row(key: &Key) -> Vec<String> {
    let name = format!("`{}`", key.name);
    match key.treatment {
        Support::Supported(by) => vec![
            name,
            describe_kind(key.kind),
            key.about.to_owned(),
            join_parts(by),
        ],
        Support::Translated(by, to) => {
            let about = format!("{} (means {to})", key.about);
            vec![name, describe_kind(key.kind), about, join_parts(by)]
        }
        Support::Ignored(why) | Support::Refused(why) => vec![name, why.to_owned()],
    }
}

fn join_parts(by: SupportedBy) -> String {
    let parts = [
        (by.filter, "module"),
        (by.host, "host"),
        (by.envoy, "Envoy"),
    ];
    let here = parts.iter().filter(|(here, _)| *here);
    here.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

fn describe_kind(kind: Kind) -> String {
    let text = match kind {
        Kind::Text => "string",
        Kind::Secret => "secret string",
        Kind::File => "file",
        Kind::Pem => "PEM in base64",
        Kind::Flag => "`true` or `false`",
        Kind::Number => "number",
        Kind::Duration => "duration",
        Kind::Texts => "list of strings",
        Kind::TextMap => "map of strings",
        Kind::TextMapOrTexts => "map of strings, or list of strings",
        Kind::Object(_) => "map",
        Kind::Objects(_) => "list of maps",
        Kind::Upstreams => "address, or list of addresses",
        Kind::Policy => "policy",
        Kind::Word(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            return words.join(", ");
        }
        _ => "anything",
    };
    text.to_owned()
}

/// Escapes the bars in a cell, which would end it.
fn escape_cell(cell: &str) -> String {
    cell.replace('|', r"\|")
}
