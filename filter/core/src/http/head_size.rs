//! How large the head of a request may be.
//!
//! Two limits belong together. The proxies read heads up to [`READ_BYTES`], and the core refuses what is beyond
//! [`FORWARDED_BYTES`]: only so a browser that sends too many cookies gets a page that says so, with a button that helps.
//! What is beyond the first limit a proxy refuses without the core, and in HTTP/2 without a page.

/// Bytes of names and values of one request's head that may reach an upstream. Servers behind accept less (8 to 64 KiB);
/// the cookies of an ordinary browser for one host fit several times.
pub const FORWARDED_BYTES: usize = 60 * 1024;

/// Header fields of one request that may reach an upstream. All cookies are one field, however many HTTP/2 fields they came
/// in (RFC 9113 section 8.2.3). Browsers send about twenty, Cockpit's own limit is lower still.
pub const FORWARDED_FIELDS: usize = 100;

/// Bytes of one request's head that the proxies read. Each connection may hold so much of an unfinished head, so that it
/// cannot be all that a browser could send (180 cookies of 4 KiB).
pub const READ_BYTES: usize = 256 * 1024;

/// Header fields of one request that the proxies read, each cookie counted: Chromium keeps 180 cookies for a site, and as
/// many for each site that embeds it.
pub const READ_FIELDS: usize = 1000;

/// Whether a request's head is too large to be forwarded. Cookies are joined before they are counted.
pub(crate) fn is_too_large(headers: &[(String, Vec<u8>)]) -> bool {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.len().saturating_add(value.len()))
        .fold(0, usize::saturating_add);
    let is_field = |name: &str| name != "cookie" && !name.starts_with(':');
    let others = headers.iter().filter(|(name, _)| is_field(name)).count();
    let cookies = usize::from(headers.iter().any(|(name, _)| name == "cookie"));
    bytes > FORWARDED_BYTES || others + cookies > FORWARDED_FIELDS
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
