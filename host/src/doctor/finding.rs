//! What one check found.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// As it should be.
    Ok,
    /// It works, and something is not as it should be, or could not be found out.
    Warning,
    /// It does not work.
    Failure,
}

impl Outcome {
    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// Which check this is: a word for programs, the same in every release.
    pub(crate) check: &'static str,
    /// What was looked at, such as a route and its upstream.
    pub(crate) about: String,
    pub(crate) outcome: Outcome,
    /// What was found, in one line.
    pub(crate) message: String,
    /// What a person sees in the browser because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<String>,
    /// Why that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// What to change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) changes: Vec<Change>,
}

/// Something to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// The file, when it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// Counts from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// What to do there, such as `in the section [WebService] write`.
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

    /// What a person sees.
    pub(crate) fn seen(mut self, text: impl Into<String>) -> Self {
        self.seen = Some(text.into());
        self
    }

    /// Why.
    pub(crate) fn why(mut self, text: impl Into<String>) -> Self {
        self.why = Some(text.into());
        self
    }

    /// What to change.
    pub(crate) fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }
}

impl Change {
    /// Something to do that is no change of a file.
    pub(crate) fn act(what: impl Into<String>) -> Self {
        Self {
            file: None,
            line: None,
            what: what.into(),
            lines: Vec::new(),
        }
    }

    /// Something to do in a file.
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

    /// A line to write, or a command to run.
    pub(crate) fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }
}
