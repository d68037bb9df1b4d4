//! Writes YAML documents with comments and in a chosen order, so that a generated file is readable.
//!
//! It supports what a bootstrap needs: block maps and lists, lists of plain words on one line, literal blocks for long strings.

use std::fmt::Write as _;
use std::time::Duration;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Yaml {
    /// A number or a boolean, written as it is.
    Bare(String),
    /// A string, quoted where YAML would read another type.
    Text(String),
    /// A string of several lines, written as a literal block without a final line break.
    Block(String),
    /// A list.
    List(Vec<Self>),
    /// A map.
    Map(Map),
}

/// A map in the order in which its keys were set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Map {
    entries: Vec<Entry>,
    /// The comment for the next key.
    note: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    note: Option<String>,
    key: String,
    value: Yaml,
}

impl Map {
    /// Creates an empty map.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Creates a map that starts with the type of an Envoy extension, such as
    /// `envoy.extensions.filters.http.router.v3.Router`.
    pub(crate) fn typed(message: &str) -> Self {
        Self::new().set("@type", format!("type.googleapis.com/{message}"))
    }

    /// Adds a key.
    pub(crate) fn set(mut self, key: &str, value: impl Into<Yaml>) -> Self {
        let note = self.note.take();
        self.entries.push(Entry {
            note,
            key: key.to_owned(),
            value: value.into(),
        });
        self
    }

    /// Adds a key if there is a value for it.
    pub(crate) fn set_some(self, key: &str, value: Option<impl Into<Yaml>>) -> Self {
        match value {
            Some(value) => self.set(key, value),
            None => Self { note: None, ..self },
        }
    }

    /// Sets the comment above the next key.
    pub(crate) fn note(mut self, comment: impl Into<String>) -> Self {
        self.note = Some(comment.into());
        self
    }
}

/// Renders a whole document: comment lines and an empty line, then the map.
pub(crate) fn render_document(comment: &str, map: &Map) -> String {
    let mut out = String::new();
    write_comment(&mut out, comment, 0);
    if !out.is_empty() {
        out.push('\n');
    }
    write_map(&mut out, map, 0);
    out
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Yaml {
    fn from(value: bool) -> Self {
        Self::Bare(value.to_string())
    }
}

impl From<u16> for Yaml {
    fn from(value: u16) -> Self {
        Self::Bare(value.to_string())
    }
}

impl From<u32> for Yaml {
    fn from(value: u32) -> Self {
        Self::Bare(value.to_string())
    }
}

impl From<usize> for Yaml {
    fn from(value: usize) -> Self {
        Self::Bare(value.to_string())
    }
}

impl From<Map> for Yaml {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Yaml {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// Formats a duration as Protocol Buffers do in JSON: seconds with up to nine decimals and an `s`.
impl From<Duration> for Yaml {
    fn from(duration: Duration) -> Self {
        let nanos = format!("{:09}", duration.subsec_nanos());
        let fraction = nanos.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        Self::Bare(format!("{}{dot}{fraction}s", duration.as_secs()))
    }
}

fn write_indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn write_comment(out: &mut String, comment: &str, depth: usize) {
    for line in comment.lines() {
        write_indent(out, depth);
        // Another kind of line break in a name would otherwise end the comment.
        let line: String = line
            .chars()
            .map(|c| if is_special(c) { ' ' } else { c })
            .collect();
        out.push_str(format!("# {line}").trim_end());
        out.push('\n');
    }
}

/// Writes a map; each key is indented by `depth`.
fn write_map(out: &mut String, map: &Map, depth: usize) {
    for entry in &map.entries {
        if let Some(note) = &entry.note {
            write_comment(out, note, depth);
        }
        write_indent(out, depth);
        write_entry(out, entry, depth);
    }
}

fn write_entry(out: &mut String, entry: &Entry, depth: usize) {
    out.push_str(&quote(&entry.key));
    out.push(':');
    write_value(out, &entry.value, depth);
}

/// Writes the value after a `key:` at `depth`.
fn write_value(out: &mut String, value: &Yaml, depth: usize) {
    match value {
        Yaml::Map(map) if !map.entries.is_empty() => {
            out.push('\n');
            write_map(out, map, depth + 1);
        }
        Yaml::List(items) if !fits_one_line(items) => {
            out.push('\n');
            items
                .iter()
                .for_each(|item| write_item(out, item, depth + 1));
        }
        Yaml::Block(text) => write_block(out, text, depth + 1),
        _ => {
            out.push(' ');
            out.push_str(&render_inline(value));
            out.push('\n');
        }
    }
}

fn write_item(out: &mut String, item: &Yaml, depth: usize) {
    if let Yaml::Map(map) = item
        && let Some((first, rest)) = map.entries.split_first()
    {
        if let Some(note) = &first.note {
            write_comment(out, note, depth);
        }
        write_indent(out, depth);
        out.push_str("- ");
        write_entry(out, first, depth + 1);
        write_map(
            out,
            &Map {
                entries: rest.to_vec(),
                note: None,
            },
            depth + 1,
        );
        return;
    }
    write_indent(out, depth);
    out.push('-');
    write_value(out, item, depth);
}

fn write_block(out: &mut String, text: &str, depth: usize) {
    out.push_str(" |-\n");
    for line in text.lines() {
        write_indent(out, depth);
        out.push_str(line);
        out.push('\n');
    }
}

/// Whether a list is short and plain enough for the line of its key.
fn fits_one_line(items: &[Yaml]) -> bool {
    const WIDTH: usize = 80;
    let plain = items
        .iter()
        .all(|item| matches!(item, Yaml::Bare(_) | Yaml::Text(_)));
    plain
        && items
            .iter()
            .map(|item| render_inline(item).len() + 2)
            .sum::<usize>()
            <= WIDTH
}

fn render_inline(value: &Yaml) -> String {
    match value {
        Yaml::Bare(text) => text.clone(),
        Yaml::Text(text) | Yaml::Block(text) => quote(text),
        Yaml::List(items) => format!(
            "[{}]",
            items
                .iter()
                .map(render_inline)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        // Only empty maps get here; the others are written as blocks.
        Yaml::Map(_) => "{}".to_owned(),
    }
}

/// Quotes a string unless every YAML reader reads it as a string: in single quotes where many characters would have to be
/// escaped in double quotes.
fn quote(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if text.contains(['"', '\\']) && !text.chars().any(is_special) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        escape(text)
    }
}

fn is_plain(text: &str) -> bool {
    /// Words that YAML 1.1 or 1.2 readers do not read as strings.
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let rest = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | ':'));
    first
        && rest
        && !text.ends_with(':')
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn escape(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Writing to a string cannot fail.
            c if is_special(c) => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether a character is not printable in YAML, or a line break for some readers; all of them are below U+10000.
pub(crate) fn is_special(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> serde_json::Value {
        serde_saphyr::from_str(text).expect("the document is YAML")
    }

    #[test]
    fn a_document_keeps_its_order_and_its_comments() {
        let map = Map::new()
            .set("zebra", "last in the alphabet")
            .note("why\nin two lines")
            .set(
                "alpha",
                vec![
                    Map::new()
                        .note("inner")
                        .set("one", 1u32)
                        .set("two", Map::new().set("deep", true)),
                ],
            )
            .set("none", Map::new())
            .set("words", vec!["h2", "http/1.1"]);
        let expected = "\
# top

zebra: \"last in the alphabet\"
# why
# in two lines
alpha:
  # inner
  - one: 1
    two:
      deep: true
none: {}
words: [h2, http/1.1]
";
        assert_eq!(render_document("top", &map), expected);
    }

    #[test]
    fn every_string_is_read_back_unchanged() {
        let texts = [
            "",
            " ",
            "true",
            "No",
            "~",
            "null",
            "y",
            "12",
            "1e3",
            "0x1f",
            "1:30",
            "-",
            "- a",
            "a: b",
            "a:",
            "a #b",
            "#",
            "@type",
            "https://idp.example.com:8443",
            "a\"b\\c",
            "it's \"quoted\"",
            "'\"'",
            "\\d\n\"",
            "line\nbreak",
            "tab\t",
            "\u{85}\u{2028}\u{2029}\u{feff}\u{7f}\u{1}",
            "é中🦀",
            "{}",
            "[a]",
            "*",
            "&a",
            "!a",
            "%",
            "`",
            "|",
            ">",
            "'",
            "a, b",
            ".inf",
            "2001:db8::1",
            "127.0.0.1",
            "\r\n",
        ];
        for text in texts {
            let value = read(&render_document(
                "",
                &Map::new()
                    .set("key", text)
                    .set("list", vec![text])
                    .set(&format!("k{text}"), 1u32),
            ));
            assert_eq!(value["key"], text, "as a value");
            assert_eq!(value["list"][0], text, "in a list");
            assert_eq!(value[format!("k{text}")], 1, "in a key");
        }
    }

    #[test]
    fn a_literal_block_is_read_back_unchanged() {
        let json = "{\n  \"a\": [\n    \"# no comment\",\n    \"b: c\"\n  ]\n}";
        let value = read(&render_document(
            "",
            &Map::new()
                .set("value", Yaml::Block(json.to_owned()))
                .set("after", 1u32),
        ));
        assert_eq!(value["value"], json);
        assert_eq!(value["after"], 1);
    }

    #[test]
    fn durations_are_seconds_with_a_unit() {
        for (duration, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_secs(30), "30s"),
            (Duration::from_millis(250), "0.25s"),
            (Duration::new(1, 1), "1.000000001s"),
        ] {
            assert_eq!(Yaml::from(duration), Yaml::Bare(text.to_owned()));
        }
    }

    #[test]
    fn a_comment_cannot_end_early() {
        let text = render_document("name\rkey: value\u{85}x", &Map::new().set("a", 1u32));
        assert_eq!(text, "# name key: value x\n\na: 1\n");
    }

    #[test]
    fn a_note_of_a_missing_value_is_not_left_for_the_next_key() {
        let map = Map::new()
            .note("gone")
            .set_some("a", None::<&str>)
            .set("b", 1u32);
        assert_eq!(render_document("", &map), "b: 1\n");
    }
}
