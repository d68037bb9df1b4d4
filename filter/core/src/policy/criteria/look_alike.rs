//! Warns about addresses and domains in a policy that look like others.
//!
//! The rule is a small part of UTS 39: it knows five scripts, and of each the letters that most fonts draw like Latin ones.
//! A name without a warning may still look like another one.

use std::ops::RangeInclusive;

use crate::diagnostics::{Findings, KeyPath, quoted};
use crate::email_address::normalize_domain;

/// Scripts that have letters which look alike, and their ranges. Domains in several other scripts, such as Chinese with
/// Latin, are common.
const SCRIPTS: [(&str, &[RangeInclusive<char>]); 5] = [
    (
        "Latin",
        &[
            'a'..='z',
            'A'..='Z',
            '\u{c0}'..='\u{24f}',
            '\u{1e00}'..='\u{1eff}',
        ],
    ),
    ("Greek", &['\u{370}'..='\u{3ff}', '\u{1f00}'..='\u{1fff}']),
    (
        "Cyrillic",
        &['\u{400}'..='\u{52f}', '\u{a640}'..='\u{a69f}'],
    ),
    ("Armenian", &['\u{530}'..='\u{58f}']),
    (
        "Cherokee",
        &['\u{13a0}'..='\u{13ff}', '\u{ab70}'..='\u{abbf}'],
    ),
];

/// Letters beside the Latin letters that they look like.
const LOOK_ALIKES: [(char, char); 30] = [
    ('а', 'a'),
    ('с', 'c'),
    ('ԁ', 'd'),
    ('е', 'e'),
    ('һ', 'h'),
    ('і', 'i'),
    ('ј', 'j'),
    ('ӏ', 'l'),
    ('о', 'o'),
    ('р', 'p'),
    ('ԛ', 'q'),
    ('ѕ', 's'),
    ('ѵ', 'v'),
    ('ԝ', 'w'),
    ('х', 'x'),
    ('у', 'y'),
    ('α', 'a'),
    ('ι', 'i'),
    ('κ', 'k'),
    ('ν', 'v'),
    ('ο', 'o'),
    ('ρ', 'p'),
    ('υ', 'u'),
    ('χ', 'x'),
    ('γ', 'y'),
    ('ց', 'g'),
    ('հ', 'h'),
    ('ո', 'n'),
    ('օ', 'o'),
    ('ս', 'u'),
];

/// Warns about an address or a domain with a label that mixes scripts, or that looks like a Latin one.
pub(crate) fn warn_of_look_alike(name: &str, path: &KeyPath, findings: &mut Findings) {
    let labels = || name.split(['.', '@']);
    let problem = labels().find_map(|label| {
        let mixed = find_mixed_scripts(label).map(|[one, other]| {
            format!(
                "{} mixes {one} and {other} letters in {}, so that it can look like another name",
                quoted(name),
                quoted(label)
            )
        });
        mixed.or_else(|| {
            let twin = find_latin_twin(label)?;
            Some(format!(
                "{} looks like `{twin}` in {}, and is another name",
                quoted(label),
                quoted(name)
            ))
        })
    });
    let Some(problem) = problem else { return };
    let domain = name.rsplit_once('@').map_or(name, |(_, domain)| domain);
    let ascii = normalize_domain(domain.trim_start_matches('.'));
    let help = if ascii.is_ascii() && !domain.is_ascii() {
        format!(
            "copy the name from a source that you trust; the domain in ASCII is `{ascii}`, which is accepted without a warning"
        )
    } else {
        "copy the name from a source that you trust".to_owned()
    };
    findings.warning(path, problem).help(help);
}

/// Returns two scripts that a label mixes.
fn find_mixed_scripts(label: &str) -> Option<[&'static str; 2]> {
    let mut scripts = label.chars().filter_map(find_script);
    let first = scripts.next()?;
    let other = scripts.find(|script| *script != first)?;
    Some([first, other])
}

fn find_script(letter: char) -> Option<&'static str> {
    let has = |ranges: &[RangeInclusive<char>]| ranges.iter().any(|range| range.contains(&letter));
    let found = SCRIPTS.iter().find(|(_, ranges)| has(ranges));
    found.map(|(script, _)| *script)
}

/// Returns the Latin label that a label of another script looks like in all its letters.
fn find_latin_twin(label: &str) -> Option<String> {
    if label.is_ascii() {
        return None;
    }
    let lower = label.chars().flat_map(char::to_lowercase);
    lower.map(find_latin_letter).collect()
}

fn find_latin_letter(letter: char) -> Option<char> {
    if letter.is_ascii_digit() || letter == '-' {
        return Some(letter);
    }
    let found = LOOK_ALIKES.iter().find(|(other, _)| *other == letter);
    found.map(|(_, latin)| *latin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(name: &str) -> Vec<String> {
        let mut findings = Findings::default();
        warn_of_look_alike(name, &KeyPath::root(), &mut findings);
        findings
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn mixed_scripts_and_latin_twins_are_warned_of() {
        for (name, expected) in [
            ("ex\u{430}mple.com", "Latin and Cyrillic"),
            ("\u{430}lice@example.com", "Cyrillic and Latin"),
            ("alice@\u{3bf}example.com", "Greek and Latin"),
            (".ex\u{430}mple.com", "xn--exmple-4nf.com"),
            (
                "\u{440}\u{430}\u{443}\u{440}\u{430}\u{4cf}.com",
                "looks like `paypal`",
            ),
            ("bob@\u{441}\u{43e}-1.example", "looks like `co-1`"),
        ] {
            let found = warnings(name);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].contains(expected), "{name}: {found:?}");
        }
    }

    #[test]
    fn other_names_are_not_warned_of() {
        for name in [
            "",
            "example.com",
            "alice@example.com",
            "jörg@müller.example",
            "пример.рф",
            "алиса@example.com",
            "παράδειγμα.example",
            "例子abc.example",
            "xn--exmple-4nf.com",
            "a\u{301}.example",
        ] {
            assert_eq!(warnings(name), Vec::<String>::new(), "{name}");
        }
    }
}
