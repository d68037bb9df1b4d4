//! Reads header fields that are lists, or that may occur only once.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Returns the value of a field that occurs exactly once.
pub(super) fn find_single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Splits a list such as `keep-alive, Upgrade` into its tokens.
pub(super) fn split_tokens(list: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let tokens = list.as_bytes().split(|byte| *byte == b',');
    tokens
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

/// Returns whether the value of a coding field is `chunked` alone (RFC 9112, 7.1).
pub(super) fn is_chunked(coding: &HeaderValue) -> bool {
    coding.as_bytes().eq_ignore_ascii_case(b"chunked")
}
