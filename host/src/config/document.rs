//! A YAML document as JSON, and where in the text each of its values stands.
//!
//! Nothing here knows the rest of the program: the fuzz targets compile these files by themselves.

mod fault;
mod place;
mod places;
mod tree;

pub(crate) use fault::SyntaxFault;
pub(crate) use place::Place;
pub(crate) use places::{Duplicate, Places, Spot};

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Options};

use tree::Tree;

/// Nesting of a document; a policy nests about ten levels.
pub(super) const MAX_DEPTH: usize = 64;
/// Values in a document: a hundred thousand criteria have half as many. A file at this limit needs some 500 MiB.
pub(super) const MAX_NODES: usize = 1_000_000;
/// Values that aliases repeat: ten thousand routes that share a policy of some twenty values stay below it.
pub(super) const MAX_REPEATED: usize = 300_000;
/// Each value is one or two of the parser's events, and aliases and documents are events too.
const MAX_EVENTS: usize = 3 * MAX_NODES;

/// A parsed file.
pub(crate) struct Document {
    /// Its content; an empty file is an empty object. Of a key that stands twice, the first counts.
    pub(crate) value: Value,
    /// Where everything stands.
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
    /// subset. `yes`, `no`, `on` and `off` are texts, and so are dates.
    ///
    /// # Errors
    /// Text that is neither, or that asks for more work than the limits above allow.
    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxFault> {
        match serde_saphyr::from_str_with_options::<Tree>(text, options()) {
            Ok(tree) => Ok(tree.into_document()),
            Err(error) => Err(SyntaxFault::of(&error, text)),
        }
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: MAX_EVENTS,
            max_recorded_anchor_events: MAX_REPEATED,
            // A second document has its own error, which says more than a limit.
            max_documents: 2,
            // Many routes that share one policy are as good as few.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPEATED },
        // All of them are reported, with everything else that is wrong.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // They are neither values nor work that anybody else has to do, however many there are.
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
