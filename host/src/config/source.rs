//! A text that findings are about.

use std::ops::Range;

use jetway_core::config::keys::GLOBAL;

use super::document::{Place, Places, Spot};
use super::secrecy::{Region, address_secret};

/// The configuration file, or something that stands in for a part of it.
pub(super) struct Source {
    /// What findings call it: the file's path, or the name of an environment variable.
    pub(super) name: String,
    /// Empty when there is nothing to show.
    pub(super) text: String,
    /// Absent when the text could not be parsed.
    pub(super) places: Option<Places>,
    /// What its outermost keys are.
    pub(super) region: Region,
}

/// The text may hold secrets.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Source").field(&self.name).finish()
    }
}

impl Source {
    /// Something whose text is not to be shown, or the configuration file before its text is known.
    pub(super) fn hidden(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: String::new(),
            places: None,
            region: Region::Keys(GLOBAL),
        }
    }

    /// Where a path leads.
    pub(super) fn spot(&self, path: &str) -> Option<Spot> {
        self.places.as_ref()?.spot(path)
    }

    /// The bytes of the text that must not be shown, in their order; absent when they are not known.
    pub(super) fn secrets(&self) -> Option<Vec<Range<usize>>> {
        let values = self.places.as_ref()?.values(self.region, &Region::enter);
        let secret = |(place, region): &(Place, Region)| {
            let bytes = place.bytes(&self.text)?;
            if matches!(region, Region::Secret) {
                return Some(bytes);
            }
            let inner = address_secret(self.text.get(bytes.clone())?)?;
            Some(bytes.start + inner.start..bytes.start + inner.end)
        };
        let mut ranges: Vec<Range<usize>> = values.iter().filter_map(secret).collect();
        ranges.sort_by_key(|range| range.start);
        Some(joined(ranges))
    }
}

/// Sorted stretches without overlaps: what an alias repeats is found more than once.
fn joined(ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
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
    use crate::config::document::Document;

    #[test]
    fn overlapping_stretches_are_one() {
        assert_eq!(joined(vec![1..9, 2..4, 5..12, 12..13]), [1..12, 12..13]);
    }

    #[test]
    fn secrets_are_found_wherever_they_stand() {
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
    fn other_values_stay() {
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
