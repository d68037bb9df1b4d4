//! Regular expressions of the file: RE2's language as far as [`regex_lite`] supports it. Matching takes time in proportion
//! to pattern and input; look-around and back references do not exist.

use regex_lite::{Regex, RegexBuilder};

use crate::diagnostics::{Findings, KeyPath, quoted};

/// The longest pattern in bytes; hand-written patterns fit on a line.
const MAX_PATTERN: usize = 2 * 1024;
/// The memory of one compiled pattern in bytes, which also bounds the work of matching: repetitions such as `(a{99}){99}`
/// use much of it.
const MAX_PROGRAM: usize = 64 * 1024;

/// Compiles a pattern. Returns `None` after it has reported a problem.
pub(super) fn compile(pattern: &str, key_path: &KeyPath, findings: &mut Findings) -> Option<Regex> {
    if !findings.can_compile(key_path) {
        return None;
    }
    if pattern.len() > MAX_PATTERN {
        findings
            .problem(
                key_path,
                format!("the regular expression is longer than {MAX_PATTERN} bytes"),
            )
            .help("write several routes, or a `prefix`");
        return None;
    }
    match build(pattern) {
        Ok(regex) => Some(regex),
        Err(error) => {
            findings
                .problem(
                    key_path,
                    format!("{} is not a regular expression: {error}", quoted(pattern)),
                )
                .help(
                    "write one in RE2's syntax, without Unicode classes and without large repetitions",
                );
            None
        }
    }
}

/// Compiles a pattern that must match a whole string.
pub(super) fn compile_whole(
    pattern: &str,
    key_path: &KeyPath,
    findings: &mut Findings,
) -> Option<Regex> {
    // The pattern alone comes first: between parentheses `a)(b` is valid.
    compile(pattern, key_path, findings)?;
    match build(&format!("^(?:{pattern})$")) {
        Ok(regex) => Some(regex),
        Err(error) => {
            findings
                .problem(
                    key_path,
                    format!("{} cannot match a whole path: {error}", quoted(pattern)),
                )
                .help("remove comments, and make it shorter");
            None
        }
    }
}

fn build(pattern: &str) -> Result<Regex, regex_lite::Error> {
    RegexBuilder::new(pattern).size_limit(MAX_PROGRAM).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(pattern: &str) -> Result<Regex, String> {
        let mut findings = Findings::default();
        compile_whole(pattern, &KeyPath::root(), &mut findings)
            .ok_or_else(|| findings.problems()[0].to_string())
    }

    #[test]
    fn the_whole_text_must_match() {
        let regex = whole("/a|/b/.*").unwrap();
        for (path, expected) in [("/a", true), ("/ab", false), ("/b/c", true), ("x/a", false)] {
            assert_eq!(regex.is_match(path), expected, "{path}");
        }
    }

    #[test]
    fn others_are_problems() {
        for pattern in [
            "(",
            "a)(b",
            "(?=a)",
            "(?x)a # b",
            "((a{100}){100}){100}",
            r"\pL",
            "*a",
        ] {
            match whole(pattern) {
                Ok(_) => panic!("{pattern}"),
                Err(problem) => assert!(!problem.contains('\n'), "{problem}"),
            }
        }
        assert!(whole(&"a".repeat(MAX_PATTERN + 1)).is_err());
    }
}
