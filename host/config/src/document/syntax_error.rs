//! Explains why a string cannot be parsed as a document.

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, MessageFormatter as _, UserMessageFormatter};

use super::{MAX_DEPTH, MAX_NODES, MAX_REPEATED, Place};

/// The reason why a string cannot be parsed, and its place.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    /// Lower case, one line, no final period.
    pub(crate) message: String,
    /// The text to write instead, when that is clear.
    pub(crate) help: Option<&'static str>,
    pub(crate) place: Option<Place>,
}

impl SyntaxError {
    pub(super) fn of(error: &Error, text: &str) -> Self {
        let error = innermost(error);
        let (message, help) = describe(error);
        Self {
            message,
            help,
            place: error
                .location()
                .and_then(|location| Place::find(location, text)),
        }
    }
}

fn innermost(error: &Error) -> &Error {
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => innermost(error),
        other => other,
    }
}

fn describe(error: &Error) -> (String, Option<&'static str>) {
    let repeated = || {
        (
            format!("aliases repeat more than {MAX_REPEATED} values"),
            Some("do not use an alias inside a value that another alias repeats"),
        )
    };
    match error {
        Error::MultipleDocuments { .. }
        | Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => (
            "there is more than one YAML document in the file".to_owned(),
            Some("put everything into one, without `---` in between"),
        ),
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Depth { .. } => too_deep(),
            BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. } => (
                format!("the file has more than {MAX_NODES} values"),
                Some(
                    "share policies among routes with an anchor, or use `in: [..]` for long lists",
                ),
            ),
            BudgetBreach::RecordedAnchorEvents { .. }
            | BudgetBreach::RecordedAnchorBytes { .. } => repeated(),
            _ => (
                "the file has too many anchors, aliases or merge keys".to_owned(),
                None,
            ),
        },
        Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => repeated(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            ("an anchor contains itself".to_owned(), None)
        }
        Error::UnknownAnchor { .. } => (
            "this alias has no anchor before it".to_owned(),
            Some("put a string that begins with `*` in quotes"),
        ),
        Error::NullIntoString { .. } => (
            "a key is empty or null".to_owned(),
            Some("put it in quotes if it is meant as a string"),
        ),
        Error::Unexpected {
            expected: "string scalar",
            ..
        } => ("a key must be a string".to_owned(), None),
        Error::TaggedScalarCannotDeserializeIntoString { .. } => (
            "this tag is not supported".to_owned(),
            Some("remove it, and put the value in quotes if it is a string"),
        ),
        other => not_yaml(other),
    }
}

fn too_deep() -> (String, Option<&'static str>) {
    (
        format!("the file is nested more than {MAX_DEPTH} levels deep"),
        Some("a policy needs about ten: look for brackets that are not closed"),
    )
}

fn not_yaml(error: &Error) -> (String, Option<&'static str>) {
    let said = UserMessageFormatter.format_message(error);
    let said = said.lines().next().unwrap_or_default();
    // The scanner has its own limit for brackets, which is above `MAX_DEPTH`.
    if said.contains("recursion limit") {
        return too_deep();
    }
    let said = said.trim_end_matches(['.', ':', ' ']).replace('\'', "`");
    let help = HELP
        .iter()
        .find(|(part, _)| said.contains(part))
        .map(|(_, help)| *help);
    (format!("the file is not valid YAML: {said}"), help)
}

/// How to correct common mistakes, by a part of the parser's message.
const HELP: [(&str, &str); 5] = [
    ("tabs disallowed", "indent with spaces"),
    ("found a tab", "indent with spaces"),
    (
        "mapping values are not allowed",
        "check the indentation, and put a value that contains `: ` in quotes",
    ),
    (
        "unexpected character",
        "put the value in quotes if it begins with a sign or contains unusual characters",
    ),
    (
        "not a finite number",
        "put the value in quotes if it is a string",
    ),
];
