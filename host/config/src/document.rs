//! A YAML document as JSON, and the place of each of its values in the source.

mod place;
mod places;
mod syntax_error;
mod tree;

pub(crate) use place::Place;
pub(crate) use places::{Duplicate, Location, Places};
pub(crate) use syntax_error::SyntaxError;

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Options};

use tree::Tree;

/// Deepest nesting of a document; a policy nests about ten levels.
pub(crate) const MAX_DEPTH: usize = 64;
/// Most values in a document: a hundred thousand criteria have half as many. A file at this limit needs some 500 MiB.
pub(crate) const MAX_NODES: usize = 1_000_000;
/// Most values that aliases may repeat: ten thousand routes that share a policy of some twenty values stay below it.
pub(crate) const MAX_REPEATED: usize = 300_000;
/// Each value is one or two of the parser's events, and aliases and documents are events too.
const MAX_EVENTS: usize = 3 * MAX_NODES;

/// A parsed file.
pub(crate) struct Document {
    /// Its content; an empty file is an empty object. The first of duplicate keys counts.
    pub(crate) value: Value,
    /// The places of its keys and values.
    pub(crate) places: Places,
}

/// The content may hold secrets.
impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

impl Document {
    /// Parses YAML 1.2 with the merge keys, anchors and octal numbers of 1.1, which is what Go's yaml.v3 reads; JSON is a
    /// subset. `yes`, `no`, `on` and `off` are strings, and so are dates.
    ///
    /// # Errors
    /// Input that is neither, or that exceeds the limits above.
    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxError> {
        match serde_saphyr::from_str_with_options::<Tree>(text, parser_options()) {
            Ok(tree) => Ok(tree.into_document()),
            Err(error) => Err(SyntaxError::of(&error, text)),
        }
    }
}

fn parser_options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: MAX_EVENTS,
            max_recorded_anchor_events: MAX_REPEATED,
            // A second document has an error of its own, which is clearer than that of a limit.
            max_documents: 2,
            // Any number of routes may share one policy.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPEATED },
        // All of them are reported, together with the other problems.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // Comments are not values, and cost the same work however many there are.
        emit_comments: false,
        strict_booleans: true,
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
