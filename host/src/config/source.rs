//! A text that findings are about.

use std::ops::Range;

use super::document::{Places, Spot};
use super::secrecy::names_a_secret;

/// The configuration file, or something that stands in for a part of it.
pub(super) struct Source {
    /// What findings call it: the file's path, or the name of an environment variable.
    pub(super) name: String,
    /// Empty when there is nothing to show.
    pub(super) text: String,
    /// Absent when the text could not be parsed.
    pub(super) places: Option<Places>,
}

/// The text may hold secrets.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Source").field(&self.name).finish()
    }
}

impl Source {
    /// Something whose text is not to be shown.
    pub(super) fn hidden(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: String::new(),
            places: None,
        }
    }

    /// Where a path leads.
    pub(super) fn spot(&self, path: &str) -> Option<Spot> {
        self.places.as_ref()?.spot(path)
    }

    /// The bytes of the text that must not be shown, in their order; absent when they are not known.
    pub(super) fn secrets(&self) -> Option<Vec<Range<usize>>> {
        let places = self.places.as_ref()?.values_below(&names_a_secret);
        let mut ranges: Vec<Range<usize>> = places
            .iter()
            .filter_map(|place| place.bytes(&self.text))
            .collect();
        ranges.sort_by_key(|range| range.start);
        Some(ranges)
    }
}
