//! Cockpit's configuration file (cockpit.conf(5)): sections in brackets and `Key = value` lines.
//!
//! Edits keep every other line as it is, because the file belongs to the operator.

use std::fmt::Write as _;

/// A `cockpit.conf`, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CockpitConf {
    /// With their line breaks, except perhaps the last.
    lines: Vec<String>,
}

/// The content of a line.
#[derive(Debug, PartialEq, Eq)]
enum Meaning<'l> {
    Section(&'l str),
    Entry(&'l str, &'l str),
    Nothing,
}

/// A value and its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written<'c> {
    pub(crate) value: &'c str,
    /// Counts from one.
    pub(crate) line: usize,
}

/// The edit that a setting needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// The value was set already.
    None,
    /// A line was added.
    Added,
    /// A line was replaced; this is the old one, which is kept as a comment.
    Replaced(String),
}

impl CockpitConf {
    /// Parses a file.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.split_inclusive('\n').map(str::to_owned).collect();
        Self { lines }
    }

    /// Returns the content of the file.
    pub(crate) fn text(&self) -> String {
        self.lines.concat()
    }

    /// Returns the value that Cockpit uses, which is the last one. Names are case-insensitive, as in Cockpit.
    pub(crate) fn value(&self, section: &str, key: &str) -> Option<Written<'_>> {
        let found = self.entries().filter(|(at, name, ..)| {
            at.eq_ignore_ascii_case(section) && name.eq_ignore_ascii_case(key)
        });
        let (_, _, value, line) = found.last()?;
        Some(Written { value, line })
    }

    /// Returns the number of the line at which a section first begins.
    pub(crate) fn section(&self, section: &str) -> Option<usize> {
        let begins = |line: &String| matches!(meaning(line), Meaning::Section(name) if name.eq_ignore_ascii_case(section));
        self.lines.iter().position(begins).map(|index| index + 1)
    }

    /// Iterates over section, key, value and line of each entry.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &str, &str, usize)> {
        let mut section = "";
        self.lines
            .iter()
            .enumerate()
            .filter_map(move |(index, line)| {
                match meaning(line) {
                    Meaning::Section(name) => section = name,
                    Meaning::Entry(key, value) => return Some((section, key, value, index + 1)),
                    Meaning::Nothing => {}
                }
                None
            })
    }

    /// Sets a value.
    pub(crate) fn set(&mut self, section: &str, key: &str, value: &str) -> Edit {
        let entry = format!("{key} = {value}\n");
        match self.value(section, key) {
            Some(written) if written.value == value => Edit::None,
            Some(Written { line, .. }) => self.replace(line - 1, &entry),
            None => {
                self.add(section, &entry);
                Edit::Added
            }
        }
    }

    /// Reverts an edit, if the value is still the one that it set. `replaced` is the line that became a comment.
    pub(crate) fn take_back(
        &mut self,
        section: &str,
        key: &str,
        value: &str,
        replaced: Option<&str>,
    ) {
        let Some(index) = self
            .value(section, key)
            .filter(|written| written.value == value)
            .map(|written| written.line - 1)
        else {
            return;
        };
        self.lines.remove(index);
        let comment = replaced.map(|old| format!("# {old}\n"));
        let before = index.checked_sub(1);
        if let (Some(old), Some(line)) = (
            replaced,
            before.and_then(|before| self.lines.get_mut(before)),
        ) && Some(&*line) == comment.as_ref()
        {
            *line = format!("{old}\n");
        }
        self.remove_if_empty(section);
    }

    /// Removes a section that is empty now, and the empty line before it.
    fn remove_if_empty(&mut self, section: &str) {
        let Some(begin) = self.section(section) else {
            return;
        };
        let next = self.lines.get(begin);
        let ends =
            |line: &String| line.trim().is_empty() || matches!(meaning(line), Meaning::Section(_));
        if self
            .entries()
            .any(|(at, ..)| at.eq_ignore_ascii_case(section))
            || !next.is_none_or(ends)
        {
            return;
        }
        self.lines.remove(begin - 1);
        if let Some(before) = begin.checked_sub(2)
            && self
                .lines
                .get(before)
                .is_some_and(|line| line.trim().is_empty())
        {
            self.lines.remove(before);
        }
    }

    fn replace(&mut self, index: usize, entry: &str) -> Edit {
        let Some(line) = self.lines.get_mut(index) else {
            return Edit::None;
        };
        let old = line.trim_end_matches(['\r', '\n']).to_owned();
        *line = format!("# {old}\n");
        self.lines.insert(index + 1, entry.to_owned());
        Edit::Replaced(old)
    }

    fn add(&mut self, section: &str, entry: &str) {
        if let Some(last) = self.lines.last_mut()
            && !last.ends_with('\n')
        {
            last.push('\n');
        }
        match self.section(section) {
            Some(begin) => {
                let entries = self.lines.iter().skip(begin);
                let own = entries.take_while(|line| !matches!(meaning(line), Meaning::Section(_)));
                // After the last entry of the section, before the empty lines that separate it from the next.
                let last = own
                    .enumerate()
                    .filter(|(_, line)| matches!(meaning(line), Meaning::Entry(..)))
                    .last();
                let at = last.map_or(begin, |(index, _)| begin + index + 1);
                self.lines.insert(at, entry.to_owned());
            }
            None => {
                let gap = if self.lines.is_empty() { "" } else { "\n" };
                let mut text = self.text();
                // Writing to a string cannot fail.
                let _ = write!(text, "{gap}[{section}]\n{entry}");
                *self = Self::parse(&text);
            }
        }
    }
}

/// Parses a line as Cockpit does. `#` begins a comment only at the beginning of a line: after a value it is part of it.
fn meaning(line: &str) -> Meaning<'_> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Meaning::Nothing;
    }
    if let Some(rest) = line.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((name, "")) => Meaning::Section(name.trim()),
            _ => Meaning::Nothing,
        };
    }
    match line.split_once('=') {
        Some((key, value)) => Meaning::Entry(key.trim(), value.trim()),
        None => Meaning::Nothing,
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\n[WebService]\nLoginTo = true\n# about origins\norigins=https://a https://b\n\n\
        [Session]\nIdleTimeout=15\n";

    #[test]
    fn values_are_found_as_cockpit_finds_them() {
        let conf = CockpitConf::parse(FILE);
        let origins = conf.value("webservice", "Origins").unwrap();
        assert_eq!((origins.value, origins.line), ("https://a https://b", 5));
        assert_eq!(conf.value("Session", "Origins"), None);
        assert_eq!(conf.section("SESSION"), Some(7));
        let twice = CockpitConf::parse("[a]\nk=1\n[b]\n[A]\nk = 2 # not a comment\n");
        assert_eq!(twice.value("a", "k").unwrap().value, "2 # not a comment");
    }

    #[test]
    fn every_other_line_is_kept() {
        let mut conf = CockpitConf::parse(FILE);
        assert_eq!(
            conf.set("WebService", "ProtocolHeader", "X-Forwarded-Proto"),
            Edit::Added
        );
        assert_eq!(
            conf.set("WebService", "LoginTo", "false"),
            Edit::Replaced("LoginTo = true".to_owned())
        );
        assert_eq!(conf.set("Session", "IdleTimeout", "15"), Edit::None);
        assert_eq!(
            conf.set("bearer", "UnixPath", "/run/jetway/session"),
            Edit::Added
        );
        assert_eq!(
            conf.text(),
            "# mine\n[WebService]\n# LoginTo = true\nLoginTo = false\n# about origins\norigins=https://a https://b\n\
             ProtocolHeader = X-Forwarded-Proto\n\n[Session]\nIdleTimeout=15\n\n[bearer]\nUnixPath = /run/jetway/session\n"
        );
        let again = conf.clone();
        for (section, key, value) in [
            ("WebService", "ProtocolHeader", "X-Forwarded-Proto"),
            ("WebService", "LoginTo", "false"),
            ("bearer", "UnixPath", "/run/jetway/session"),
        ] {
            assert_eq!(conf.set(section, key, value), Edit::None);
        }
        assert_eq!(conf, again);
    }

    #[test]
    fn files_without_a_last_line_end_and_empty_ones_can_be_added_to() {
        let mut conf = CockpitConf::parse("[a]\nk = 1");
        conf.set("a", "l", "2");
        assert_eq!(conf.text(), "[a]\nk = 1\nl = 2\n");
        let mut conf = CockpitConf::parse("[a]");
        conf.set("a", "l", "2");
        assert_eq!(conf.text(), "[a]\nl = 2\n");
        let mut conf = CockpitConf::default();
        conf.set("a", "l", "2");
        assert_eq!(conf.text(), "[a]\nl = 2\n");
        let mut conf = CockpitConf::parse("[a]\nk = 1");
        conf.set("a", "k", "2");
        assert_eq!(conf.text(), "[a]\n# k = 1\nk = 2\n");
    }

    #[test]
    fn edits_are_reverted_one_by_one() {
        let mut conf = CockpitConf::parse(FILE);
        conf.set("WebService", "LoginTo", "false");
        conf.set("bearer", "UnixPath", "/run/jetway/session");
        conf.set("Session", "Other", "1");
        conf.take_back("WebService", "LoginTo", "false", Some("LoginTo = true"));
        conf.take_back("bearer", "UnixPath", "/run/jetway/session", None);
        assert_eq!(conf.text(), format!("{FILE}Other = 1\n"));
        conf.take_back("Session", "Other", "2", None);
        assert_eq!(conf.text(), format!("{FILE}Other = 1\n"));
    }

    #[test]
    fn odd_lines_mean_nothing() {
        for line in ["", "  ", "# [a]", "[a", "[a] b", "word", "#k = v"] {
            assert_eq!(meaning(line), Meaning::Nothing, "{line}");
        }
        assert_eq!(meaning("k=\r\n"), Meaning::Entry("k", ""));
    }
}
