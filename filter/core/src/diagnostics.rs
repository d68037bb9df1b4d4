//! Problems and warnings about the configuration file, each with the path of the key that it is about.

mod userinfo;

use std::cmp::Ordering;

use strsim::osa_distance;

pub use userinfo::{sentence_without_userinfo, userinfo, without_userinfo};

/// One thing that is wrong in the file, in the operator's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the key: keys joined by dots and list indices in brackets, such as
    /// `routes[0].policy[0].allow.or[1].email`; empty for the file as a whole.
    pub path: String,
    /// The problem in words: lower case, one line, no final period.
    pub message: String,
    /// The text to write instead.
    pub help: Option<String>,
}

/// Something that is accepted but probably not intended.
pub type Warning = Problem;

impl Problem {
    /// Returns a problem at a path, without help.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            help: None,
        }
    }

    /// Sets what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", one_line(self.path.clone()))?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, " (help: {help})")?;
        }
        Ok(())
    }
}

/// The path of a key in the file, such as `routes[0].policy[0].allow`.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyPath(String);

impl KeyPath {
    /// Returns the path of the whole file.
    pub(crate) fn root() -> Self {
        Self::default()
    }

    /// Returns the path that is written like this.
    pub(crate) fn of(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// Returns the path of a key below this one.
    pub(crate) fn key(&self, key: &str) -> Self {
        if self.0.is_empty() {
            Self(key.to_owned())
        } else {
            Self(format!("{}.{key}", self.0))
        }
    }

    /// Returns the path of an item of the list at this path.
    pub(crate) fn item(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// Returns the path as findings show it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The most problems, and the most warnings, that are kept: more of them would not help an operator.
const MAX_FINDINGS: usize = 200;
/// The most characters of a value that a message repeats: enough to find the value in the file.
const MAX_QUOTED: usize = 120;

/// The problems and warnings about one file.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
    /// How many regular expressions the file has had so far; see [`Findings::can_compile`].
    patterns: usize,
}

/// The most regular expressions in one file. Each may take 64 KiB when compiled, and each worker of a proxy keeps them all.
const MAX_PATTERNS: usize = 1000;

impl Findings {
    /// Counts one more regular expression and returns whether it may be compiled. The first one beyond the limit is a
    /// problem.
    pub(crate) fn can_compile(&mut self, key_path: &KeyPath) -> bool {
        self.patterns = self.patterns.saturating_add(1);
        if self.patterns == MAX_PATTERNS + 1 {
            self.problem(
                key_path,
                format!("more than {MAX_PATTERNS} regular expressions in one file"),
            )
            .help("use `prefix` or `path` where that is enough");
        }
        self.patterns <= MAX_PATTERNS
    }

    /// Adds a problem. The returned note takes its help.
    pub(crate) fn problem(&mut self, key_path: &KeyPath, message: impl Into<String>) -> Note<'_> {
        note(&mut self.problems, key_path, message)
    }

    /// Adds a warning. The returned note takes its help.
    pub(crate) fn warning(&mut self, key_path: &KeyPath, message: impl Into<String>) -> Note<'_> {
        note(&mut self.warnings, key_path, message)
    }

    /// Removes what was found at a path.
    pub(crate) fn remove(&mut self, key_path: &KeyPath) {
        // Keys are case-insensitive, and some readers report them in lower case.
        let is_elsewhere = |finding: &Problem| !finding.path.eq_ignore_ascii_case(&key_path.0);
        self.problems.retain(is_elsewhere);
        self.warnings.retain(is_elsewhere);
    }

    #[cfg(test)]
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    #[cfg(test)]
    pub(crate) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    pub(crate) fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// Sorts by path: list items by index, keys alphabetically.
    pub(crate) fn sort(&mut self) {
        self.problems
            .sort_by(|a, b| compare_paths(&a.path, &b.path));
        self.warnings
            .sort_by(|a, b| compare_paths(&a.path, &b.path));
    }
}

/// A finding whose help may still be set; empty when there are too many findings already.
pub(crate) struct Note<'a>(Option<&'a mut Problem>);

impl Note<'_> {
    /// Sets what to write instead.
    pub(crate) fn help(self, help: impl Into<String>) {
        if let Some(problem) = self.0 {
            problem.help = Some(one_line(sentence_without_userinfo(&help.into())));
        }
    }

    /// Sets the help to `did you mean` with the known name that is close; without one to `otherwise`, unless that is empty.
    pub(crate) fn help_near<'k>(
        self,
        name: &str,
        known: impl Iterator<Item = &'k str>,
        otherwise: &str,
    ) {
        if self.0.is_none() {
            return;
        }
        match nearest(name, known) {
            Some(close) => self.help(format!("did you mean `{close}`?")),
            None if otherwise.is_empty() => {}
            None => self.help(otherwise),
        }
    }
}

fn note<'a>(
    list: &'a mut Vec<Problem>,
    key_path: &KeyPath,
    message: impl Into<String>,
) -> Note<'a> {
    if list.len() >= MAX_FINDINGS {
        return Note(None);
    }
    let message = sentence_without_userinfo(&message.into());
    list.push(Problem::new(key_path.0.clone(), one_line(message)));
    Note(list.last_mut())
}

/// Replaces control characters by escapes, so that a finding stays on its line.
pub(crate) fn one_line(string: String) -> String {
    if !string.contains(char::is_control) {
        return string;
    }
    let mut line = String::with_capacity(string.len());
    for c in string.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// Returns a value of the file as messages repeat it: in backticks, without the passwords of addresses, and shortened when
/// it is long.
pub(crate) fn quoted(value: &str) -> String {
    // Masking comes first: shortening may remove the `@` that marks a password.
    let value = without_userinfo(value);
    match value.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("`{}…`", value.get(..end).unwrap_or_default()),
        None => format!("`{value}`"),
    }
}

/// Compares two paths part by part, list indices as numbers.
fn compare_paths(left: &str, right: &str) -> Ordering {
    let parts = |path| str::split(path, ['.', '[', ']']).map(PathPart::of);
    parts(left).cmp(parts(right))
}

/// A part of a path.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum PathPart<'a> {
    Index(usize),
    Key(&'a str),
}

impl<'a> PathPart<'a> {
    fn of(part: &'a str) -> Self {
        part.parse().map_or(Self::Key(part), Self::Index)
    }
}

/// Returns the known key that a written one is most likely meant to be, if there is one: it is near, or both have a long beginning
/// in common (`allow_websocket_upgrade` and `allow_websockets`).
pub(crate) fn nearest_key<'k>(
    name: &str,
    known: impl Iterator<Item = &'k str> + Clone,
) -> Option<&'k str> {
    nearest(name, known.clone()).or_else(|| nearest_by_beginning(name, known))
}

/// Returns the known name that is at most two edits away, if there is one and the edits are fewer than half of it. An edit is an
/// insertion, a deletion, a replacement, or a swap of neighbours.
#[must_use]
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    const LONGEST: usize = 64;
    const EDITS: usize = 2;
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_ascii_lowercase();
    known
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= EDITS)
        .map(|candidate| {
            (
                osa_distance(&name, &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .filter(|(edits, candidate)| *edits <= EDITS && *edits * 2 < candidate.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Returns the known name with the longest beginning in common, if that is at least three quarters of the shorter name.
fn nearest_by_beginning<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    const SHORTEST: usize = 8;
    let common = |candidate: &str| {
        let pairs = name.bytes().zip(candidate.bytes());
        pairs.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
    };
    let is_long = |length: usize, candidate: &str| {
        length >= SHORTEST && length * 4 >= name.len().min(candidate.len()) * 3
    };
    known
        .map(|candidate| (common(candidate), candidate))
        .filter(|(length, candidate)| is_long(*length, candidate))
        // Of several equally good ones the shortest says least that is not meant.
        .max_by_key(|(length, candidate)| (*length, std::cmp::Reverse(candidate.len())))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_the_same_beginning_are_near() {
        let known = [
            "allow_websockets",
            "allow_upgrades",
            "timeout",
            "preserve_host_header",
            "tls_custom_ca",
        ];
        let near = |name| nearest_key(name, known.into_iter());
        assert_eq!(near("allow_websocket_upgrade"), Some("allow_websockets"));
        assert_eq!(near("Preserve_Host"), Some("preserve_host_header"));
        assert_eq!(near("tls_custom_ca_path"), Some("tls_custom_ca"));
        assert_eq!(near("allow_everything"), None);
        assert_eq!(near("timeout_upstream"), None);
    }

    #[test]
    fn near_names_are_found() {
        let known = ["email", "domain", "authenticated_user"];
        let near = |name| nearest(name, known.into_iter());
        assert_eq!(near("emial"), Some("email"));
        assert_eq!(near("Domains"), Some("domain"));
        assert_eq!(near("authenticated-user"), Some("authenticated_user"));
        assert_eq!(near("groups"), None);
        assert_eq!(near(""), None);
    }

    #[test]
    fn paths_read_like_the_file() {
        let key_path = KeyPath::root().key("routes").item(0).key("policy");
        assert_eq!(key_path.0, "routes[0].policy");
    }

    #[test]
    fn findings_are_bounded() {
        let mut findings = Findings::default();
        for _ in 0..1000 {
            findings.problem(&KeyPath::root(), "x").help("y");
        }
        assert_eq!(findings.problem_count(), MAX_FINDINGS);
    }

    #[test]
    fn findings_stay_on_their_line() {
        let mut findings = Findings::default();
        findings
            .problem(&KeyPath::root(), format!("{} is wrong", quoted("a\nb")))
            .help("no\ttabs");
        assert_eq!(findings.problems()[0].message, "`a\\nb` is wrong");
        assert_eq!(findings.problems()[0].help.as_deref(), Some("no\\ttabs"));
        assert_eq!(quoted(&"é".repeat(500)).chars().count(), MAX_QUOTED + 3);
    }

    #[test]
    fn passwords_of_addresses_are_not_repeated() {
        let long = format!("http://admin:{}@a", "x".repeat(500));
        assert_eq!(quoted(&long), "`http://***@a`");
        let mut findings = Findings::default();
        findings
            .problem(&KeyPath::root(), "`http://admin:pw@a` is wrong")
            .help("write `http://admin:pw@b`");
        assert_eq!(findings.problems()[0].message, "`http://***@a` is wrong");
        let help = findings.problems()[0].help.as_deref();
        assert_eq!(help, Some("write `http://***@b`"));
    }

    #[test]
    fn findings_are_sorted_by_path() {
        let mut findings = Findings::default();
        let routes = KeyPath::root().key("routes");
        for key_path in [
            routes.item(10).key("to"),
            routes.item(9).key("to"),
            KeyPath::root().key("address"),
            routes.item(9),
            KeyPath::root(),
        ] {
            findings.problem(&key_path, "x");
        }
        findings.sort();
        let paths: Vec<&str> = findings
            .problems()
            .iter()
            .map(|p| p.path.as_str())
            .collect();
        assert_eq!(
            paths,
            ["", "address", "routes[9]", "routes[9].to", "routes[10].to"]
        );
    }
}
