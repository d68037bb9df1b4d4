//! What the target `yaml` runs. The tests of the host include this file and run it, too: whoever includes it has the host's
//! [`Document`] beside it.

use super::Document;

/// Reads bytes as YAML, looks at the places of everything, and returns what was read.
pub fn yaml(bytes: &[u8]) -> Option<serde_json::Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(fault) => {
            let place = fault.place?;
            assert!(place.line > 0 && place.column > 0);
            // A place at the very end, or none: never one outside of the text.
            assert!(place.bytes(text).is_some(), "{}", fault.message);
            return None;
        }
    };
    for (place, ()) in document.places.values((), &|(), _| ()) {
        assert!(place.bytes(text).is_some());
    }
    for found in document.places.duplicates(10) {
        assert!(document.places.spot(&found.path).is_some());
    }
    Some(document.value)
}
