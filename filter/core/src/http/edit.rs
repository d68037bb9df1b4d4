//! Changes of header fields.

use std::borrow::Cow;
use std::fmt;

/// One change of the headers of a request or a response. Names are in lower case.
#[derive(Clone, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Removes every header of this name.
    Remove(Cow<'a, str>),
    /// Replaces every header of this name by one.
    Set(Cow<'a, str>, Cow<'a, [u8]>),
    /// Adds a header beside those of this name.
    Add(Cow<'a, str>, Cow<'a, [u8]>),
}

impl<'a> Edit<'a> {
    pub(crate) fn set(name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::Set(name.into(), value.into())
    }

    /// Returns the name of the header that changes.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Remove(name) | Self::Set(name, _) | Self::Add(name, _) => name,
        }
    }
}

impl fmt::Debug for Edit<'_> {
    /// Values may be cookies and tokens: only their length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove(name) => write!(f, "Remove({name})"),
            Self::Set(name, value) => write!(f, "Set({name}, {} bytes)", value.len()),
            Self::Add(name, value) => write!(f, "Add({name}, {} bytes)", value.len()),
        }
    }
}
