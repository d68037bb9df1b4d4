//! The result of one check.

use serde::Serialize;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// Everything works.
    Ok,
    /// It works with a problem, or could not be checked.
    Warning,
    /// It does not work.
    Failure,
}

impl Outcome {
    /// Returns its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// The result of examining one thing.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// The stable identifier of the check.
    pub(crate) check: &'static str,
    /// The examined thing, such as a route and its upstream.
    pub(crate) about: String,
    pub(crate) outcome: Outcome,
    /// The result, in one line.
    pub(crate) message: String,
    /// The effect that users see in the browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<String>,
    /// The cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// The changes that fix it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) changes: Vec<Change>,
}

/// A change that fixes a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// The file to change, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// Counts from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// The instruction, such as `in the section [WebService] write`.
    pub(crate) what: String,
    /// The lines to write, or the commands to run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) lines: Vec<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, about: &str, message: impl Into<String>) -> Self {
        Self::new(check, about, Outcome::Ok, message.into())
    }

    pub(crate) fn warning(check: &'static str, about: &str, message: impl Into<String>) -> Self {
        Self::new(check, about, Outcome::Warning, message.into())
    }

    pub(crate) fn failure(check: &'static str, about: &str, message: impl Into<String>) -> Self {
        Self::new(check, about, Outcome::Failure, message.into())
    }

    fn new(check: &'static str, about: &str, outcome: Outcome, message: String) -> Self {
        Self {
            check,
            about: about.to_owned(),
            outcome,
            message,
            seen: None,
            why: None,
            changes: Vec::new(),
        }
    }

    /// Sets the effect that users see.
    pub(crate) fn seen(mut self, text: impl Into<String>) -> Self {
        self.seen = Some(text.into());
        self
    }

    /// Sets the cause.
    pub(crate) fn why(mut self, text: impl Into<String>) -> Self {
        self.why = Some(text.into());
        self
    }

    /// Adds a change.
    pub(crate) fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }
}

impl Change {
    /// Creates an instruction that does not change a file.
    pub(crate) fn act(what: impl Into<String>) -> Self {
        Self {
            file: None,
            line: None,
            what: what.into(),
            lines: Vec::new(),
        }
    }

    /// Creates a change of a file.
    pub(crate) fn file(
        name: impl Into<String>,
        line: Option<usize>,
        what: impl Into<String>,
    ) -> Self {
        Self {
            file: Some(name.into()),
            line,
            ..Self::act(what)
        }
    }

    /// Adds a line to write, or a command to run.
    pub(crate) fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }
}
