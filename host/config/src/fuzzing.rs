//! The fuzz target `yaml`, which the tests of this crate run as well.

use serde_json::Value;

use crate::document::Document;

/// Reads bytes as YAML, checks the places of all values, and returns the content.
#[must_use]
pub fn yaml(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let place = error.place?;
            assert!(place.line > 0 && place.column > 0);
            // A place at the very end, or none: never one outside of the source.
            assert!(place.bytes(text).is_some(), "{}", error.message);
            return None;
        }
    };
    for (place, ()) in document.places.collect_values((), &|(), _| ()) {
        assert!(place.bytes(text).is_some());
    }
    for found in document.places.find_duplicates(10) {
        assert!(document.places.locate(&found.path).is_some());
    }
    Some(document.value)
}
