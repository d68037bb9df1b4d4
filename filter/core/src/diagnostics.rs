//! Collecting every problem of a file, each with its place.

mod userinfo;

use std::cmp::Ordering;

use strsim::osa_distance;

pub use userinfo::{sentence_without_userinfo, userinfo, without_userinfo};

/// One thing that is wrong, in the operator's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: keys joined by dots and list places in brackets, such as `routes[0].policy[0].allow.or[1].email`; empty for
    /// the file as a whole.
    pub path: String,
    /// What is wrong: lower case, one line, no final period.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// Something that is accepted but probably not meant.
pub type Warning = Problem;

impl Problem {
    /// A problem at a path.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            help: None,
        }
    }

    /// The same problem with what to write instead.
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

/// A place in the file, such as `routes[0].policy[0].allow`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place(String);

impl Place {
    pub(crate) fn root() -> Self {
        Self::default()
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        if self.0.is_empty() {
            Self(key.to_owned())
        } else {
            Self(format!("{}.{key}", self.0))
        }
    }

    pub(crate) fn item(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// As it is written in findings.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// How many findings are kept: a hopeless file is clear long before that.
const MAX_FINDINGS: usize = 200;
/// Longest piece of the operator's own text that a message repeats, in characters: enough to find it again.
const MAX_QUOTED: usize = 120;

/// What is wrong, and what is odd.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
    /// How many regular expressions the file has had so far; see [`Findings::may_compile`].
    patterns: usize,
}

/// Most regular expressions in one file. Each may take 64 KiB when compiled, and each of a proxy's workers keeps them all.
const MAX_PATTERNS: usize = 1000;

impl Findings {
    /// Whether one more regular expression may be compiled. The first that is too many is a problem.
    pub(crate) fn may_compile(&mut self, place: &Place) -> bool {
        self.patterns = self.patterns.saturating_add(1);
        if self.patterns == MAX_PATTERNS + 1 {
            self.problem(
                place,
                format!("more than {MAX_PATTERNS} regular expressions in one file"),
            )
            .help("write `prefix` or `path` where they do");
        }
        self.patterns <= MAX_PATTERNS
    }

    /// Notes a problem; the help may be added to what is returned.
    pub(crate) fn problem(&mut self, place: &Place, message: impl Into<String>) -> Note<'_> {
        note(&mut self.problems, place, message)
    }

    /// Notes a warning; the help may be added to what is returned.
    pub(crate) fn warning(&mut self, place: &Place, message: impl Into<String>) -> Note<'_> {
        note(&mut self.warnings, place, message)
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

    /// Sorts by place: lists in their order, keys as JSON gives them.
    pub(crate) fn sort(&mut self) {
        self.problems.sort_by(|a, b| by_place(&a.path, &b.path));
        self.warnings.sort_by(|a, b| by_place(&a.path, &b.path));
    }
}

/// A finding that may still get its help; none when there are too many findings already.
pub(crate) struct Note<'a>(Option<&'a mut Problem>);

impl Note<'_> {
    pub(crate) fn help(self, help: impl Into<String>) {
        if let Some(problem) = self.0 {
            problem.help = Some(one_line(sentence_without_userinfo(&help.into())));
        }
    }

    /// The help `did you mean` with the known name that is close, else the other text, if it is not empty.
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

fn note<'a>(list: &'a mut Vec<Problem>, place: &Place, message: impl Into<String>) -> Note<'a> {
    if list.len() >= MAX_FINDINGS {
        return Note(None);
    }
    let message = sentence_without_userinfo(&message.into());
    list.push(Problem::new(place.0.clone(), one_line(message)));
    Note(list.last_mut())
}

/// The text with control characters as escapes, so that a finding stays on its line.
pub(crate) fn one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// The operator's own text as messages repeat it: in backticks, without passwords of addresses, and not all of it when it
/// is long.
pub(crate) fn quoted(text: &str) -> String {
    // First this: what is cut may be the `@` that a password is known by.
    let text = without_userinfo(text);
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("`{}…`", text.get(..end).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

/// Compares two places piece by piece, places in lists as numbers.
fn by_place(left: &str, right: &str) -> Ordering {
    let pieces = |text| str::split(text, ['.', '[', ']']).map(Piece::of);
    pieces(left).cmp(pieces(right))
}

/// A piece of a place.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Piece<'a> {
    Number(usize),
    Key(&'a str),
}

impl<'a> Piece<'a> {
    fn of(text: &'a str) -> Self {
        text.parse().map_or(Self::Key(text), Self::Number)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn places_read_like_the_file() {
        let place = Place::root().key("routes").item(0).key("policy");
        assert_eq!(place.0, "routes[0].policy");
    }

    #[test]
    fn findings_are_bounded() {
        let mut findings = Findings::default();
        for _ in 0..1000 {
            findings.problem(&Place::root(), "x").help("y");
        }
        assert_eq!(findings.problem_count(), MAX_FINDINGS);
    }

    #[test]
    fn findings_stay_on_their_line() {
        let mut findings = Findings::default();
        findings
            .problem(&Place::root(), format!("{} is wrong", quoted("a\nb")))
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
            .problem(&Place::root(), "`http://admin:pw@a` is wrong")
            .help("write `http://admin:pw@b`");
        assert_eq!(findings.problems()[0].message, "`http://***@a` is wrong");
        let help = findings.problems()[0].help.as_deref();
        assert_eq!(help, Some("write `http://***@b`"));
    }

    #[test]
    fn findings_are_sorted_by_place() {
        let mut findings = Findings::default();
        let routes = Place::root().key("routes");
        for place in [
            routes.item(10).key("to"),
            routes.item(9).key("to"),
            Place::root().key("address"),
            routes.item(9),
            Place::root(),
        ] {
            findings.problem(&place, "x");
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
