//! Checks the length of an upstream's response (RFC 9112, 6.3). The HTTP library accepts ambiguous lengths: a proxy or
//! cache in front that reads the same bytes differently would take part of one response for another.

use http::header::{self, HeaderMap};

use super::header_field::is_chunked;

/// Returns what is wrong with the framing of a response, as strictly as Envoy.
pub(super) fn find_problem(headers: &HeaderMap) -> Option<&'static str> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let (length, coding) = (lengths.next(), codings.next());
    if lengths.next().is_some() || length.is_some_and(|length| length.as_bytes().contains(&b',')) {
        return Some("the upstream sent two response lengths");
    }
    let coding = coding?;
    if length.is_some() {
        Some("the upstream sent a response length and a transfer coding")
    } else if codings.next().is_some() || !is_chunked(coding) {
        Some("the transfer coding of the upstream is not supported")
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
            assert_eq!(find_problem(&headers).is_none(), is_clear, "{fields:?}");
        }
    }
}
