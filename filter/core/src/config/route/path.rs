//! Which paths a route serves.

use super::super::findings::Findings;
use super::super::object::Object;
use crate::path::canonical;

/// Which paths a route serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// Every path.
    Any,
    /// This path exactly (`path`).
    Exact(String),
    /// Paths that begin with this text (`prefix`).
    Prefix(String),
}

impl PathMatch {
    pub(super) fn read(object: &Object<'_>, findings: &mut Findings) -> Option<Self> {
        let before = findings.problem_count();
        let exact = object.text("path", findings);
        let prefix = object.text("prefix", findings);
        for (key, text) in [("path", &exact), ("prefix", &prefix)] {
            if let Some(text) = text
                && canonical(text).as_deref() != Ok(text.as_str())
            {
                findings
                    .problem(
                        &object.place_of(key),
                        format!("`{text}` is not a path in its plain form, so it never matches"),
                    )
                    .help("begin with `/`, without `.` segments, `//`, `?` or needless escapes");
            }
        }
        if findings.problem_count() > before {
            return None;
        }
        Some(match (exact, prefix) {
            (Some(exact), _) => Self::Exact(exact),
            (None, Some(prefix)) if prefix != "/" => Self::Prefix(prefix),
            _ => Self::Any,
        })
    }

    /// Whether a canonical path, without its query, is meant.
    #[must_use]
    pub fn serves(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
        }
    }
}
