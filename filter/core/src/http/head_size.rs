//! Limits on the size of a request's head.
//!
//! Two limits belong together. The proxies read heads up to [`READ_BYTES`], and the core refuses those larger than
//! [`FORWARDED_BYTES`], so that a browser that sends too many cookies gets a page with a button to delete them. A head beyond the
//! first limit is refused by the proxy without the core, and in HTTP/2 without a page.

/// Largest head that is forwarded: bytes of names and values. Most upstreams accept less (8 to 64 KiB), and the cookies of an
/// ordinary browser for one host take a fraction of it.
pub const FORWARDED_BYTES: usize = 60 * 1024;

/// Most header fields that are forwarded. All cookies are one field, even if HTTP/2 splits them (RFC 9113 section 8.2.3).
/// Browsers send about twenty fields, and the limit of Cockpit itself is lower.
pub const FORWARDED_FIELDS: usize = 100;

/// Largest head that the proxies read, in bytes. Each connection may hold so many bytes of an incomplete head, so that the limit
/// cannot be as high as what a browser could send (180 cookies of 4 KiB).
pub const READ_BYTES: usize = 256 * 1024;

/// Most header fields that the proxies read; each cookie counts. Chromium keeps 180 cookies for a site, and as many for each
/// site that embeds it.
pub const READ_FIELDS: usize = 1000;

/// Returns whether the head of a request is too large to be forwarded. Its cookies are joined before they are counted.
pub(crate) fn is_too_large(headers: &[(String, Vec<u8>)]) -> bool {
    let (mut bytes, mut others, mut cookies) = (0_usize, 0_usize, 0);
    for (name, value) in headers {
        bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
        if name == "cookie" {
            cookies = 1;
        } else if !name.starts_with(':') {
            others = others.saturating_add(1);
        }
    }
    bytes > FORWARDED_BYTES || others.saturating_add(cookies) > FORWARDED_FIELDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize, name: &str, value: &str) -> Vec<(String, Vec<u8>)> {
        vec![(name.to_owned(), value.as_bytes().to_vec()); count]
    }

    /// N-12
    #[test]
    fn cookies_count_as_one_field_and_by_their_bytes() {
        assert!(!is_too_large(&lines(300, "cookie", "name=value")));
        let mut headers = lines(FORWARDED_FIELDS - 1, "x-any", "1");
        headers.extend(lines(180, "cookie", "name=value"));
        headers.extend(lines(1, ":path", "/"));
        assert!(!is_too_large(&headers));
        headers.extend(lines(1, "x-any", "1"));
        assert!(is_too_large(&headers));
        assert!(is_too_large(&lines(60, "cookie", &"a".repeat(1024))));
        assert!(is_too_large(&lines(
            1,
            ":path",
            &"a".repeat(FORWARDED_BYTES)
        )));
        assert!(!is_too_large(&[]));
    }

    #[test]
    fn what_is_read_is_more_than_what_is_forwarded() {
        const { assert!(READ_BYTES > FORWARDED_BYTES && READ_FIELDS > FORWARDED_FIELDS) };
    }
}
