//! Header names that a client may not send to an upstream, and the encoding of values in headers.

mod reserved;

use crate::http::path::escape;
pub use reserved::{RESERVED, ReservedGroup};
pub(crate) use reserved::{Reserved, WRITTEN_BY_PROXY, is_alias};

/// Returns whether the string can be the name of a header: a token (RFC 9110 section 5.6.2), in any case.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

/// Returns whether the string can be the value of a header: it has no control characters (RFC 9110 section 5.5).
#[must_use]
pub fn is_value(value: &str) -> bool {
    !value.chars().any(|c| c.is_control() && c != '\t')
}

/// Removes from a header value what is not allowed in one (RFC 9110 section 5.5): control characters, and space at its ends.
pub(crate) fn clean(mut value: Vec<u8>) -> Vec<u8> {
    value.retain(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f));
    let trimmed = value.trim_ascii();
    if trimmed.len() == value.len() {
        value
    } else {
        trimmed.to_vec()
    }
}

/// Joins values to one header value: each percent-encoded ([`encode`]), with commas between them. A reader that splits it at the
/// commas and decodes the parts gets the same values.
pub(crate) fn comma_list<'v>(values: impl IntoIterator<Item = &'v str>) -> Vec<u8> {
    let mut list = Vec::new();
    for (place, value) in values.into_iter().enumerate() {
        if place > 0 {
            list.push(b',');
        }
        encode(value, &mut list);
    }
    list
}

/// Appends a value and percent-encodes what a header or a list cannot carry: control characters, what is not ASCII (as UTF-8,
/// RFC 8187 section 3.2.1), commas, `%` itself, and spaces at the ends.
fn encode(value: &str, into: &mut Vec<u8>) {
    let last = value.len().saturating_sub(1);
    for (place, byte) in value.bytes().enumerate() {
        let is_kept = match byte {
            b',' | b'%' => false,
            b' ' => place != 0 && place != last,
            other => other.is_ascii_graphic(),
        };
        if is_kept {
            into.push(byte);
        } else {
            into.extend(escape(byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_cleaned_of_what_could_end_them() {
        for (value, clean_value) in [
            (&b"a\r\nb: c\0"[..], &b"ab: c"[..]),
            (b" \ta\tb ", b"a\tb"),
            (b"\xff\x7f", b"\xff"),
            (b"", b""),
        ] {
            assert_eq!(clean(value.to_vec()), clean_value);
        }
    }

    #[test]
    fn lists_are_encoded() {
        for (values, list) in [
            (&[][..], ""),
            (&["a"], "a"),
            (&["a", "b c"], "a,b c"),
            (&["x,admins"], "x%2Cadmins"),
            (&["adm\0in", "a\r\nb: c"], "adm%00in,a%0D%0Ab: c"),
            (&["\u{c5}", "100%", "\t"], "%C3%85,100%25,%09"),
            (&[" a ", " ", ""], "%20a%20,%20,"),
        ] {
            assert_eq!(comma_list(values.iter().copied()), list.as_bytes());
        }
    }

    proptest! {
        /// A list is a valid header value and can be decoded to the values in it.
        #[test]
        fn lists_can_be_read_back(values in proptest::collection::vec(any::<String>(), 1..5)) {
            let list = comma_list(values.iter().map(String::as_str));
            prop_assert!(list.iter().all(|byte| (0x20..0x7f).contains(byte)));
            let text = String::from_utf8(clean(list.clone())).unwrap();
            prop_assert_eq!(text.as_bytes(), list);
            let read: Vec<String> = text.split(',').map(|part| crate::http::path::decode(part).into_owned()).collect();
            prop_assert_eq!(read, values);
        }
    }
}
