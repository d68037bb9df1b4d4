//! Collecting every problem of a file, each with its place.

use super::{Problem, Warning};

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
}

/// How many findings are kept: a hopeless file is clear long before that.
const MAX_FINDINGS: usize = 200;

/// What is wrong, and what is odd.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
    dropped: Problem,
}

impl Default for Problem {
    fn default() -> Self {
        Self::new("", "")
    }
}

impl Findings {
    /// Notes a problem; the help may be added to what is returned.
    pub(crate) fn problem(&mut self, place: &Place, message: impl Into<String>) -> Note<'_> {
        note(&mut self.problems, &mut self.dropped, place, message)
    }

    /// Notes a warning; the help may be added to what is returned.
    pub(crate) fn warning(&mut self, place: &Place, message: impl Into<String>) -> Note<'_> {
        note(&mut self.warnings, &mut self.dropped, place, message)
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
}

/// A finding that may still get its help.
pub(crate) struct Note<'a>(&'a mut Problem);

impl Note<'_> {
    pub(crate) fn help(self, help: impl Into<String>) {
        self.0.help = Some(help.into());
    }
}

fn note<'a>(
    list: &'a mut Vec<Problem>,
    dropped: &'a mut Problem,
    place: &Place,
    message: impl Into<String>,
) -> Note<'a> {
    if list.len() >= MAX_FINDINGS {
        return Note(dropped);
    }
    list.push(Problem::new(place.0.clone(), message));
    match list.last_mut() {
        Some(problem) => Note(problem),
        None => Note(dropped),
    }
}

/// The known name that is at most two edits away, if one is (and not most of the word is guessed).
pub(crate) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    const LONGEST: usize = 64;
    const EDITS: usize = 2;
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_ascii_lowercase();
    known
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= EDITS && *edits * 2 < candidate.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Edits that turn one word into the other: insertions, deletions, replacements, swaps of neighbours.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<u8>, Vec<u8>) = (left.bytes().collect(), right.bytes().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, l) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, r) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(l != r);
            let mut best = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0 && left[row - 1] == *r && right[column - 1] == *l;
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or_default()
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
}
