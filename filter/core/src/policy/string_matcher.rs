//! Conditions on one string, such as an email address or a path.

use serde_json::{Map, Value, json};

use crate::diagnostics::{Findings, KeyPath};
use crate::email_address::{
    fold_domain_part, fold_part, normalize_domain, normalize_email, spell_in_unicode,
};
use crate::policy::language::ConditionDoc;
use crate::policy::read::{each_once, report_unknown_condition};

/// Conditions on a string, all of which must be met. A matcher without conditions matches every string.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StringMatcher {
    conditions: Vec<StringCondition>,
}

/// One condition of a [`StringMatcher`].
#[derive(Clone, Debug, PartialEq)]
enum StringCondition {
    /// Equals this string.
    Is(String),
    /// Differs from this string.
    Not(String),
    /// Equals a value that is not a string: no string does.
    Never,
    /// Begins with this string.
    StartsWith(String),
    /// Ends with this string.
    EndsWith(String),
    /// Contains this string.
    Contains(String),
    /// Contains the first string, or contains the second, its lower-case spelling, in the domain of an email address.
    EmailContains(String, String),
    /// Equals one of these; see [`sorted`].
    In(Vec<String>),
    /// Equals none of these; see [`sorted`].
    NotIn(Vec<String>),
}

/// The conditions of a string matcher.
pub(super) const CONDITIONS: &[ConditionDoc] = &[
    ConditionDoc {
        name: "is",
        about: "The string equals the value",
        example: "is: alice@example.com",
    },
    ConditionDoc {
        name: "not",
        about: "The string differs from the value",
        example: "not: mallory@example.com",
    },
    ConditionDoc {
        name: "in",
        about: "The string equals one of the listed values",
        example: "in: [alice@example.com, bob@example.com]",
    },
    ConditionDoc {
        name: "not_in",
        about: "The string equals none of the listed values",
        example: "not_in: [mallory@example.com, eve@example.com]",
    },
    ConditionDoc {
        name: "starts_with",
        about: "The string begins with the value",
        example: "starts_with: admin-",
    },
    ConditionDoc {
        name: "ends_with",
        about: "The string ends with the value",
        example: "ends_with: \"@example.com\"",
    },
    ConditionDoc {
        name: "contains",
        about: "The string contains the value",
        example: "contains: \".admin@\"",
    },
];

impl StringMatcher {
    /// Returns a matcher for exactly one string.
    pub(super) fn is(string: String) -> Self {
        Self {
            conditions: vec![StringCondition::Is(string)],
        }
    }

    /// Reads a map of conditions, or a bare value, which means `is`. `fold` is applied to each constant.
    pub(super) fn read(
        value: &Value,
        path: &KeyPath,
        findings: &mut Findings,
        fold: fn(String) -> String,
    ) -> Option<Self> {
        let before = findings.problem_count();
        let conditions: Vec<_> = match value {
            Value::Object(conditions) => each_once(conditions, path, findings)
                .into_iter()
                .filter_map(|(name, constant)| {
                    read_condition(name, constant, &path.key(name), findings)
                })
                .collect(),
            bare => vec![read_equal(bare, path, findings)],
        };
        let conditions = conditions
            .into_iter()
            .map(|condition| condition.map(fold))
            .collect();
        (findings.problem_count() == before).then_some(Self { conditions })
    }

    /// Returns the matcher in the policy language.
    pub(super) fn to_value(&self) -> Value {
        let conditions = self.conditions.iter().map(StringCondition::to_entry);
        Value::Object(conditions.collect::<Map<_, _>>())
    }

    /// Returns the JSON Schema of a string matcher.
    pub(super) fn schema() -> Value {
        let strings = json!({"type": "array", "items": {"type": "string"}});
        let properties = CONDITIONS.iter().map(|condition| {
            let mut schema = match condition.name {
                "in" | "not_in" => strings.clone(),
                "starts_with" | "ends_with" | "contains" => json!({"type": "string"}),
                // Any other value is accepted, and never matches.
                _ => json!({}),
            };
            schema["description"] = json!(condition.about);
            (condition.name.to_owned(), schema)
        });
        json!({
            "description": "A string that must be equal, or a map of conditions, all of which must be met",
            "properties": properties.collect::<Map<_, _>>(),
            "additionalProperties": false,
        })
    }

    /// Returns the same conditions for email addresses, in whose domains case does not matter: sessions keep addresses in
    /// canonical form.
    pub(super) fn for_email(self) -> Self {
        let conditions = self.conditions.into_iter();
        Self {
            conditions: conditions.map(StringCondition::for_email).collect(),
        }
    }

    /// Returns the same conditions for the domains of email addresses.
    pub(super) fn for_domain(self) -> Self {
        let conditions = self.conditions.into_iter();
        Self {
            conditions: conditions.map(StringCondition::for_domain).collect(),
        }
    }

    /// Returns the constants that whole strings are compared with.
    pub(super) fn compared_strings(&self) -> impl Iterator<Item = &str> {
        let is_whole = |condition: &&StringCondition| {
            matches!(
                condition,
                StringCondition::Is(_)
                    | StringCondition::Not(_)
                    | StringCondition::In(_)
                    | StringCondition::NotIn(_)
            )
        };
        let whole = self.conditions.iter().filter(is_whole);
        whole
            .flat_map(StringCondition::constants)
            .map(String::as_str)
    }

    /// Returns the constants of all conditions.
    pub(super) fn constants(&self) -> impl Iterator<Item = &str> {
        self.conditions
            .iter()
            .flat_map(StringCondition::constants)
            .map(String::as_str)
    }

    /// Returns whether each condition is met by one of the strings, not necessarily by the same one.
    #[must_use]
    pub(super) fn is_match_across(&self, strings: &[String]) -> bool {
        self.conditions
            .iter()
            .all(|condition| strings.iter().any(|string| condition.is_met_by(string)))
    }

    /// Returns whether an email address or its domain, in canonical form, meets every condition. A part is compared with
    /// both spellings of the domain: it may be common to both, as `.example` is, or be of one only.
    #[must_use]
    pub(super) fn is_match_address(&self, canonical: &str) -> bool {
        self.conditions.iter().all(|condition| {
            condition.is_met_by(canonical)
                || (condition.is_part() && condition.is_met_by(&spell_in_unicode(canonical)))
        })
    }

    /// Returns whether `string` meets every condition, byte for byte.
    #[must_use]
    pub(super) fn is_match(&self, string: &str) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.is_met_by(string))
    }
}

impl StringCondition {
    /// Returns the constants.
    fn constants(&self) -> &[String] {
        match self {
            Self::Never => &[],
            Self::Is(string)
            | Self::Not(string)
            | Self::StartsWith(string)
            | Self::EndsWith(string)
            | Self::Contains(string)
            | Self::EmailContains(string, _) => std::slice::from_ref(string),
            Self::In(strings) | Self::NotIn(strings) => strings,
        }
    }

    fn is_met_by(&self, string: &str) -> bool {
        match self {
            Self::Is(constant) => string == constant,
            Self::Not(constant) => string != constant,
            Self::Never => false,
            Self::StartsWith(constant) => string.starts_with(constant.as_str()),
            Self::EndsWith(constant) => string.ends_with(constant.as_str()),
            Self::Contains(constant) => string.contains(constant.as_str()),
            Self::EmailContains(constant, lower) => {
                let domain = string.rsplit_once('@').map_or("", |(_, domain)| domain);
                string.contains(constant.as_str()) || domain.contains(lower.as_str())
            }
            Self::In(constants) => is_among(constants, string),
            Self::NotIn(constants) => !is_among(constants, string),
        }
    }

    /// Returns whether the condition is about a part of a string.
    const fn is_part(&self) -> bool {
        match self {
            Self::StartsWith(_)
            | Self::EndsWith(_)
            | Self::Contains(_)
            | Self::EmailContains(..) => true,
            Self::Is(_) | Self::Not(_) | Self::Never | Self::In(_) | Self::NotIn(_) => false,
        }
    }

    fn for_email(self) -> Self {
        match self {
            // An end without an `@` is an end of the domain.
            Self::EndsWith(end) if !end.contains('@') => Self::EndsWith(fold_domain_part(&end)),
            Self::Contains(part) if !part.contains('@') => {
                let (part, lower) = (fold_part(&part), fold_domain_part(&part));
                if part == lower {
                    Self::Contains(part)
                } else {
                    Self::EmailContains(part, lower)
                }
            }
            Self::StartsWith(_) | Self::EndsWith(_) | Self::Contains(_) => {
                self.map(|part| fold_part(&part))
            }
            whole => whole.map(normalize_email),
        }
    }

    fn for_domain(self) -> Self {
        match self {
            Self::StartsWith(_) | Self::EndsWith(_) | Self::Contains(_) => {
                self.map(|part| fold_domain_part(&part))
            }
            whole => whole.map(|domain| normalize_domain(&domain)),
        }
    }

    /// Applies `fold` to each constant.
    fn map(self, fold: impl Fn(String) -> String) -> Self {
        match self {
            Self::Is(constant) => Self::Is(fold(constant)),
            Self::Not(constant) => Self::Not(fold(constant)),
            Self::Never => Self::Never,
            Self::StartsWith(constant) => Self::StartsWith(fold(constant)),
            Self::EndsWith(constant) => Self::EndsWith(fold(constant)),
            Self::Contains(constant) => Self::Contains(fold(constant)),
            Self::EmailContains(constant, lower) => Self::EmailContains(constant, lower),
            Self::In(constants) => Self::In(sorted(constants.into_iter().map(fold))),
            Self::NotIn(constants) => Self::NotIn(sorted(constants.into_iter().map(fold))),
        }
    }

    /// Returns the condition's name and value in the policy language.
    fn to_entry(&self) -> (String, Value) {
        let (name, constant) = match self {
            Self::Is(string) => ("is", json!(string)),
            Self::Not(string) => ("not", json!(string)),
            Self::Never => ("is", Value::Null),
            Self::StartsWith(string) => ("starts_with", json!(string)),
            Self::EndsWith(string) => ("ends_with", json!(string)),
            Self::Contains(string) | Self::EmailContains(string, _) => ("contains", json!(string)),
            Self::In(strings) => ("in", json!(strings)),
            Self::NotIn(strings) => ("not_in", json!(strings)),
        };
        (name.to_owned(), constant)
    }
}

fn read_condition(
    name: &str,
    constant: &Value,
    path: &KeyPath,
    findings: &mut Findings,
) -> Option<StringCondition> {
    let condition = match name.to_ascii_lowercase().as_str() {
        "is" => return Some(read_equal(constant, path, findings)),
        "not" => return read_different(constant, path, findings),
        "in" => return read_list(constant, path, findings).map(StringCondition::In),
        "not_in" => return read_list(constant, path, findings).map(StringCondition::NotIn),
        "starts_with" => StringCondition::StartsWith,
        "ends_with" => StringCondition::EndsWith,
        "contains" => StringCondition::Contains,
        _ => {
            report_unknown_condition(name, path, CONDITIONS, findings);
            return None;
        }
    };
    let Value::String(string) = constant else {
        findings
            .problem(path, format!("`{name}` must be a string"))
            .help("put the value in quotes");
        return None;
    };
    Some(condition(string.clone()))
}

fn read_equal(constant: &Value, path: &KeyPath, findings: &mut Findings) -> StringCondition {
    match constant {
        Value::String(string) => return StringCondition::Is(string.clone()),
        Value::Array(_) => findings
            .warning(path, "a list never equals a string, so this never matches")
            .help("write `in: [..]` to accept any of several values"),
        _ => findings
            .warning(path, "the value is not a string, so this never matches")
            .help("put the value in quotes"),
    }
    StringCondition::Never
}

fn read_different(
    constant: &Value,
    path: &KeyPath,
    findings: &mut Findings,
) -> Option<StringCondition> {
    match constant {
        Value::String(string) => Some(StringCondition::Not(string.clone())),
        // Every string differs from a value that is not a string: there is nothing to check.
        _ => {
            findings
                .warning(
                    path,
                    "the value of `not` is not a string, so this always matches",
                )
                .help("put the value in quotes");
            None
        }
    }
}

fn read_list(value: &Value, path: &KeyPath, findings: &mut Findings) -> Option<Vec<String>> {
    let strings = match value {
        Value::Array(list) => list
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>(),
        _ => None,
    };
    if strings.is_none() {
        findings
            .problem(path, "must be a list of strings")
            .help("write `[first, second]`");
    }
    strings
}

/// Returns the constants in order and without repetition, so that a list of thousands costs a request nothing.
fn sorted(constants: impl Iterator<Item = String>) -> Vec<String> {
    let mut constants: Vec<String> = constants.collect();
    constants.sort_unstable();
    constants.dedup();
    constants
}

fn is_among(sorted: &[String], string: &str) -> bool {
    sorted
        .binary_search_by(|constant| constant.as_str().cmp(string))
        .is_ok()
}
