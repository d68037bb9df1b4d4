//! How an upstream tells the length of its answer (RFC 9112, 6.3). The HTTP library takes more than is clear: a proxy or
//! cache in front that reads the same bytes in another way would take a part of one answer for another.

use http::header::{self, HeaderMap};

/// What is wrong with an answer's framing, as strict as Envoy.
pub(super) fn problem(headers: &HeaderMap) -> Option<&'static str> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let (length, coding) = (lengths.next(), codings.next());
    if lengths.next().is_some() || length.is_some_and(|length| length.as_bytes().contains(&b',')) {
        return Some("the upstream states the length of its answer twice");
    }
    let coding = coding?;
    if length.is_some() {
        Some("the upstream states a length and a transfer coding")
    } else if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        Some("the transfer coding of the upstream is not known")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// N-19
    #[test]
    fn one_length_or_chunks() {
        const LENGTH: &str = "content-length";
        const CODING: &str = "transfer-encoding";
        let cases: [(&[(&'static str, &'static str)], bool); 10] = [
            (&[], true),
            (&[(LENGTH, "5")], true),
            (&[(CODING, "Chunked")], true),
            (&[(LENGTH, "5"), (LENGTH, "5")], false),
            (&[(LENGTH, "5, 5")], false),
            (&[(LENGTH, "5"), (CODING, "chunked")], false),
            (&[(CODING, "gzip, chunked")], false),
            (&[(CODING, "identity")], false),
            (&[(CODING, "chunked"), (CODING, "chunked")], false),
            (&[(CODING, "")], false),
        ];
        for (fields, is_clear) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(problem(&headers).is_none(), is_clear, "{fields:?}");
        }
    }
}
