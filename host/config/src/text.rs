//! Decodes the bytes of a file.

use crate::document::Place;

/// The byte order mark with which some editors begin UTF-8 files.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// A file that is not UTF-8. Not `Debug`: the part that is shown may contain secrets.
pub(crate) struct DecodeError {
    pub(crate) message: String,
    /// The place in [`DecodeError::shown`].
    pub(crate) place: Option<Place>,
    /// The file with replacement characters for the invalid bytes.
    pub(crate) shown: String,
}

/// Decodes UTF-8, with or without a byte order mark.
pub(crate) fn decode(mut bytes: Vec<u8>) -> Result<String, DecodeError> {
    if matches!(bytes.as_slice(), [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
        return Err(DecodeError {
            message: "the file is UTF-16, not UTF-8".to_owned(),
            place: None,
            shown: String::new(),
        });
    }
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(offset).copied().unwrap_or_default();
        // The part before the first invalid byte is the same in both, so that the place is right.
        let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let place = Place::at(&shown, offset);
        let line = place.map_or(1, |place| place.line);
        DecodeError {
            message: format!(
                "the file is not UTF-8: byte {offset} is 0x{byte:02X}, in line {line}"
            ),
            place,
            shown,
        }
    })
}

/// Whether the first line of a string is TOML: `[section]`, or `key = value`.
pub(crate) fn looks_like_toml(text: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let is_toml = |line: &str| {
        let line = line.trim();
        let inner = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let section = inner.map(|inner| inner.trim_matches(['[', ']']));
        let key = line.split_once('=').map(|(key, _)| key.trim());
        section
            .or(key)
            .is_some_and(|found| !found.is_empty() && found.chars().all(name))
    };
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(is_toml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_does_not_matter() {
        assert_eq!(
            decode(b"\xEF\xBB\xBFa: 1\n".to_vec()).ok().unwrap(),
            "a: 1\n"
        );
        assert_eq!(decode(b"a: 1\n".to_vec()).ok().unwrap(), "a: 1\n");
        assert_eq!(decode(Vec::new()).ok().unwrap(), "");
    }

    #[test]
    fn a_byte_that_is_not_utf8_is_named_with_its_line() {
        let fault = decode(b"a: \xC3\xA4\r\nb: \xE4\nc: \xFF\n".to_vec())
            .err()
            .unwrap();
        assert!(
            fault.message.contains("byte 10 is 0xE4"),
            "{}",
            fault.message
        );
        assert!(fault.message.contains("line 2"), "{}", fault.message);
        let place = fault.place.unwrap();
        assert_eq!((place.line, place.column), (2, 4));
        assert_eq!(fault.shown.as_bytes()[place.offset as usize], 0xEF);
    }

    #[test]
    fn other_encodings_are_named() {
        for bytes in [b"\xFF\xFEa\0".to_vec(), b"\xFE\xFF\0a".to_vec()] {
            assert!(decode(bytes).err().unwrap().message.contains("UTF-16"));
        }
    }

    #[test]
    fn toml_is_recognised_by_its_first_line() {
        for text in [
            "address = \":443\"\n",
            "# x\n\n[[routes]]\nfrom = 1\n",
            "[section]\na: b",
        ] {
            assert!(looks_like_toml(text), "{text}");
        }
        for text in ["", "a: b = c\n", "[a, b]", "{\"a\": 1}", "- x = y"] {
            assert!(!looks_like_toml(text), "{text}");
        }
    }
}
