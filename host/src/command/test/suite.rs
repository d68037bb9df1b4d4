//! A file of cases.

use std::path::Path;

use anyhow::bail;
use jetway_core::diagnostics::Problem;
use jetway_core::explain::Explanation;
use serde_json::Value;

use super::case::{Case, CasePolicy};
use super::expectation::ActualDecision;
use super::fields::Findings;
use super::policy_case;
use crate::command::explain::{OfflineGate, is_subject_needed};
use crate::config;
use crate::terminal::Styles;
use jetway_config_file::YamlFile;

/// A file of cases.
pub(super) struct Suite {
    file: YamlFile,
    /// Path of the list within the file.
    list: &'static str,
    /// The duplicate keys of the file.
    duplicates: Vec<Problem>,
}

/// A file with more duplicate keys than this is refused as a whole.
const MAX_DUPLICATES: usize = 20;

/// The difference of a case that proves nothing because its user could be any with this address.
const NO_SUBJECT: &str = "the policy compares `user` with the claim `sub`, which `as` does not determine: add `claims: {sub: ID}`";

/// The result of a case.
pub(super) struct CaseResult {
    /// Where the case is, and its name.
    pub(super) heading: Heading,
    /// Why it failed; `None` if it passed.
    pub(super) failure: Option<Failure>,
}

/// The failure of a case.
pub(super) struct Failure {
    /// The differences or problems, on one line.
    pub(super) message: String,
    /// The actual decision, and the target of its route.
    pub(super) explanation: Option<(Explanation, Option<String>)>,
    /// The problems of the case itself.
    pub(super) problems: Vec<Problem>,
}

/// The place and the name of a case.
pub(super) struct Heading {
    /// The file.
    pub(super) file: String,
    /// The line in the file, if it is known.
    pub(super) line: Option<u32>,
    /// Name of the case, or its number.
    pub(super) name: String,
}

impl Heading {
    /// Returns file and line.
    pub(super) fn place(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.clone(),
        }
    }
}

impl Suite {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// A file that is not a list of cases, or an empty list, which would pass without testing anything.
    pub(super) fn open(path: &Path, styles: Styles) -> anyhow::Result<Self> {
        let styled = styles.is_coloured();
        Self::of(config::open_yaml("file of cases", path, styles)?, styled)
    }

    pub(super) fn of(file: YamlFile, styled: bool) -> anyhow::Result<Self> {
        let list = match list(file.content()) {
            Ok(list) => list,
            Err(problem) => return Err(file.into_report(vec![problem], styled).into()),
        };
        // A duplicate key within a case is a failure of that case. Not all duplicates of a file with very many are known.
        let duplicates = file.find_duplicates();
        let within = |problem: &Problem| problem.path.starts_with(&format!("{list}["));
        if duplicates.len() > MAX_DUPLICATES || !duplicates.iter().all(within) {
            return Err(file.into_report(duplicates, styled).into());
        }
        let suite = Self {
            file,
            list,
            duplicates,
        };
        if suite.cases().is_empty() {
            bail!("no cases in `{}`", suite.file.name());
        }
        Ok(suite)
    }

    fn cases(&self) -> &[Value] {
        let content = self.file.content();
        let list = if self.list.is_empty() {
            Some(content)
        } else {
            content.get(self.list)
        };
        list.and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Returns the name of the file.
    pub(super) fn name(&self) -> &str {
        self.file.name()
    }

    /// Runs the cases in the order of the file.
    pub(super) fn run<'a>(
        &'a self,
        gate: Option<&'a OfflineGate>,
    ) -> impl Iterator<Item = CaseResult> + 'a {
        let cases = self.cases().iter().enumerate();
        cases.map(move |(index, value)| self.run_one(index, value, gate))
    }

    fn run_one(&self, index: usize, value: &Value, gate: Option<&OfflineGate>) -> CaseResult {
        let path = format!("{}[{index}]", self.list);
        let heading = Heading {
            file: self.file.name().to_owned(),
            line: self.file.line_of(&path),
            name: name(index, value),
        };
        let mut findings = Findings {
            problems: self.repeated_keys(&path),
        };
        let case = read(value, &path, gate, &mut findings);
        let failure = match case.filter(|_| findings.problems.is_empty()) {
            Some(case) => judge(&case),
            None => Some(unreadable(findings)),
        };
        CaseResult { heading, failure }
    }

    /// Returns the duplicate keys of one case.
    fn repeated_keys(&self, path: &str) -> Vec<Problem> {
        let inside = |problem: &&Problem| {
            let rest = problem.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        self.duplicates.iter().filter(inside).cloned().collect()
    }

    /// Renders the problems of the cases themselves, with their lines.
    pub(super) fn into_report(self, problems: Vec<Problem>, styles: Styles) -> String {
        self.file
            .into_report(problems, styles.is_coloured())
            .to_string()
    }
}

/// Returns the path of the list of cases in a file.
fn list(content: &Value) -> Result<&'static str, Problem> {
    let map = match content {
        Value::Array(_) => return Ok(""),
        Value::Object(map) if map.get("cases").is_some_and(Value::is_array) => map,
        _ => {
            return Err(Problem::new("", "the file is not a list of cases")
                .help("begin each case with `- name:`; see `jetway test --help`"));
        }
    };
    match map.keys().find(|key| *key != "cases") {
        None => Ok("cases"),
        Some(other) => Err(Problem::new(other, format!("unknown key `{other}`"))
            .help("only `cases` is allowed here")),
    }
}

fn unreadable(findings: Findings) -> Failure {
    let first = findings.problems.first().map(ToString::to_string);
    Failure {
        message: format!("cannot be read: {}", first.unwrap_or_default()),
        explanation: None,
        problems: findings.problems,
    }
}

/// Reads a case, which tests the configuration file, if there is one, or has its own policy.
fn read<'a>(
    value: &Value,
    path: &str,
    file: Option<&'a OfflineGate>,
    findings: &mut Findings,
) -> Option<Case<'a>> {
    if !value.is_object() {
        let message = "a case must be a map";
        findings.problem(path, message, "write at least `request` and `expect`");
        return None;
    }
    match (file, policy_case::is_policy_case(value)) {
        (Some(file), false) => Case::read(value, path, file, findings),
        (None, true) => policy_case::read(value, path, findings),
        (Some(_), true) => {
            let message = "a case with its own policy cannot test a configuration file";
            findings.problem(path, message, "remove -c, or `policy` and `route`");
            None
        }
        (None, false) => {
            let message = "this case has no policy";
            findings.problem(path, message, "name a configuration file with -c");
            None
        }
    }
}

fn judge(case: &Case<'_>) -> Option<Failure> {
    let gate = match &case.policy {
        CasePolicy::File(file) => Ok(*file),
        CasePolicy::Own(own) => Ok(&**own),
        CasePolicy::Invalid(why) => Err(why),
    };
    let told = gate.map(|gate| {
        let explanation = gate.explain(&case.scenario);
        let destination = gate.destination(&explanation).map(str::to_owned);
        (explanation, destination)
    });
    let answer = match &told {
        Ok((explanation, _)) => ActualDecision::Explained(explanation),
        Err(why) => ActualDecision::Invalid(why),
    };
    let mut differences = case.expect.differences(answer);
    if let Ok((explanation, _)) = &told
        && is_subject_needed(case.scenario.claims.as_ref(), explanation)
    {
        differences.push(NO_SUBJECT.to_owned());
    }
    (!differences.is_empty()).then(|| Failure {
        message: differences.join("; "),
        explanation: told.ok(),
        problems: Vec::new(),
    })
}

/// Returns `id` and `name` of a case, or its number.
fn name(index: usize, value: &Value) -> String {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let names: Vec<&str> = [text("id"), text("name")].into_iter().flatten().collect();
    if names.is_empty() {
        format!("case {}", index + 1)
    } else {
        names.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(text: &str) -> anyhow::Result<Suite> {
        let file = YamlFile::parse("cases.yaml".to_owned(), text.to_owned(), false).unwrap();
        Suite::of(file, false)
    }

    fn failures(text: &str) -> Vec<String> {
        let suite = suite(text).unwrap();
        let line = |result: CaseResult| {
            let (place, name) = (result.heading.place(), result.heading.name);
            Some(format!("{place} {name}: {}", result.failure?.message))
        };
        suite.run(None).filter_map(line).collect()
    }

    #[test]
    fn a_case_that_cannot_be_read_is_a_failure_with_its_place() {
        let text = "\
- {policy: '{}', request: {}, expect: deny}
- {policy: '{}', request: {}, expect: deny, expect: deny}
- {id: x, name: y, policy: '{}', request: {}, expect: allow}
- nothing
- {policy: 'allow: [', request: {}, expect: invalid}
- {request: GET app.test, expect: allow}
";
        assert_eq!(
            failures(text),
            [
                "cases.yaml:2 case 2: cannot be read: [1].expect: duplicate key `expect`, again in line 2 (help: keep one of them)",
                "cases.yaml:3 x y: expected allow, got deny",
                "cases.yaml:4 case 4: cannot be read: [3]: a case must be a map (help: write at least `request` and `expect`)",
                "cases.yaml:6 case 6: cannot be read: [5]: this case has no policy (help: name a configuration file with -c)",
            ]
        );
    }

    #[test]
    fn cases_may_be_below_a_key() {
        assert_eq!(
            failures("cases:\n  - {policy: {allow: {}}, request: {}, expect: login}\n"),
            ["cases.yaml:2 case 1: expected login, got deny"]
        );
    }

    #[test]
    fn a_file_without_a_list_of_cases_is_refused() {
        let many = format!("- {{a: 1{}}}", ", a: 1".repeat(21));
        for (text, part) in [
            ("", "not a list of cases"),
            ("routes: []", "not a list of cases"),
            ("cases: {}", "not a list of cases"),
            ("cases: []", "no cases"),
            ("[]", "no cases"),
            ("cases: [1]\nname: x", "unknown key `name`"),
            ("cases: [1]\ncases: [2]", "again in line 2"),
            (&many, "21 problems"),
        ] {
            let refused = suite(text).err().unwrap().to_string();
            assert!(refused.contains(part), "{text}: {refused}");
        }
    }
}
