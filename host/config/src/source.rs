//! A source to which findings refer.

use std::ops::Range;

use jetway_core::config::keys::GLOBAL;

use crate::document::{Location, Place, Places};
use crate::redaction::{Region, find_password};

/// The configuration file, or a variable that replaces a part of it.
pub(crate) struct Source {
    /// Its name in findings: the file's path, or the name of an environment variable.
    pub(crate) name: String,
    /// Empty when there is nothing to show.
    pub(crate) text: String,
    /// Absent when the source could not be parsed.
    pub(crate) places: Option<Places>,
    /// The region of its outermost keys.
    pub(crate) region: Region,
}

/// The text may contain secrets.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Source").field(&self.name).finish()
    }
}

impl Source {
    /// Creates a source of which nothing is shown.
    pub(crate) fn hidden(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: String::new(),
            places: None,
            region: Region::Keys(GLOBAL),
        }
    }

    /// Creates the source of a configuration, not parsed yet.
    pub(crate) fn of_config(name: impl Into<String>, text: String) -> Self {
        Self {
            text,
            ..Self::hidden(name)
        }
    }

    /// Finds the place of a path.
    pub(crate) fn locate(&self, path: &str) -> Option<Location> {
        self.places.as_ref()?.locate(path)
    }

    /// Returns the byte ranges that must not be shown, in their order; `None` when they are not known.
    pub(crate) fn secrets(&self) -> Option<Vec<Range<usize>>> {
        let values = self
            .places
            .as_ref()?
            .collect_values(self.region, &Region::enter);
        let secret = |(place, region): &(Place, Region)| {
            let bytes = place.bytes(&self.text)?;
            if matches!(region, Region::Secret) {
                return Some(bytes);
            }
            let inner = find_password(self.text.get(bytes.clone())?)?;
            Some(bytes.start + inner.start..bytes.start + inner.end)
        };
        let mut ranges: Vec<Range<usize>> = values.iter().filter_map(secret).collect();
        ranges.sort_by_key(|range| range.start);
        Some(merge_ranges(ranges))
    }
}

/// Merges overlapping ranges of a sorted list: the values that an alias repeats are found more than once.
fn merge_ranges(ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;

    #[test]
    fn overlapping_ranges_are_merged() {
        assert_eq!(
            merge_ranges(vec![1..9, 2..4, 5..12, 12..13]),
            [1..12, 12..13]
        );
    }

    #[test]
    fn secrets_are_found_at_any_depth() {
        for text in [
            "idp_client_secrt: HUNTER2",
            "signing_kye: {a: [HUNTER2]}",
            "certificate_key: [HUNTER2]",
            "certificates: [{kye: HUNTER2}]",
            "routes: [{from: a, set_request_headers: {X-Pw: HUNTER2}}]",
            "Routes: [{From: 'https://admin:HUNTER2@a'}]",
            "routes: [{to: [\"http://admin:HUNTER2@a\", b]}]",
            "routes: [{to: \"http:\\/\\/admin:HUNTER2@a\"}]",
            "idp_provider_url: >\n  https://admin:HUNTER2@a\n",
            "routes: [{to: &x 'http://u:HUNTER2@a'}, {tox: *x}]",
        ] {
            let source = Source {
                text: text.to_owned(),
                places: Document::parse(text).ok().map(|document| document.places),
                ..Source::hidden("test.yaml")
            };
            let at = text.find("HUNTER2").unwrap();
            let secrets = source.secrets().unwrap();
            let covers = |secret: &Range<usize>| secret.start <= at && at + 7 <= secret.end;
            assert!(secrets.iter().any(covers), "{text}: {secrets:?}");
        }
    }

    #[test]
    fn other_values_are_shown() {
        let text = "address: ':443'\nroutes: [{from: 'https://a', to: b, policy: [{alow: x}]}]\n\
            jwt_claims_headers: {X-Email: email}\n";
        let source = Source {
            text: text.to_owned(),
            places: Document::parse(text).ok().map(|document| document.places),
            ..Source::hidden("test.yaml")
        };
        assert_eq!(source.secrets(), Some(vec![]));
    }
}
