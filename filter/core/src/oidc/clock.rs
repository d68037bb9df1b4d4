//! Whose clock is wrong.

use jiff::fmt::rfc2822;

use crate::limits::LEEWAY;
use crate::time::Timestamp;

/// By how many seconds the provider's clock is ahead of ours, by the `Date` header of an answer that has just come; `None`
/// when it does not say, or when the clocks agree well enough for tokens.
pub(crate) fn skew(date: &[u8], now: Timestamp) -> Option<i64> {
    /// No header is longer; RFC 9110 writes 29 characters.
    const LONGEST: usize = 64;
    let text = std::str::from_utf8(date)
        .ok()
        .filter(|text| text.len() <= LONGEST)?;
    let theirs = rfc2822::parse(text).ok()?.timestamp().as_second();
    let ours = i64::try_from(now.0).ok()?;
    let skew = theirs.saturating_sub(ours);
    (skew.unsigned_abs() >= LEEWAY / 2).then_some(skew)
}

/// What to tell about it, for a page and a log.
pub(crate) fn sentence(skew: i64) -> String {
    let (seconds, direction) = (
        skew.unsigned_abs(),
        if skew > 0 { "behind" } else { "ahead of" },
    );
    format!("This proxy's clock is {seconds} seconds {direction} the identity provider's.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        // The example of RFC 9110 section 5.6.7.
        let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
        let then = 784_111_777;
        let at = |now| skew(date, Timestamp(now));
        assert_eq!(at(then), None);
        assert_eq!(at(then - 90), Some(90));
        assert_eq!(at(then + 3600), Some(-3600));
        for text in [b"".as_slice(), b"yesterday", b"\xff", &[b'1'; 100]] {
            assert_eq!(skew(text, Timestamp(then)), None);
        }
        assert_eq!(
            sentence(90),
            "This proxy's clock is 90 seconds behind the identity provider's."
        );
    }
}
