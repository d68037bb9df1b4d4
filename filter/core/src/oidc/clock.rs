//! The difference between this machine's clock and the provider's.

use jiff::fmt::rfc2822;

use crate::limits::LEEWAY;
use crate::time::Timestamp;

/// Measures by how many seconds the provider's clock is ahead of this machine's, from the `Date` header of a reply that
/// was just received. `None` without a usable header, or when the difference does not matter for tokens.
pub(crate) fn measure_skew(date: &[u8], now: Timestamp) -> Option<i64> {
    /// Longest header that is read. The format of RFC 9110 has 29 characters.
    const LONGEST: usize = 64;
    let date = std::str::from_utf8(date)
        .ok()
        .filter(|date| date.len() <= LONGEST)?;
    let theirs = rfc2822::parse(date).ok()?.timestamp().as_second();
    let ours = i64::try_from(now.0).ok()?;
    let skew = theirs.saturating_sub(ours);
    (skew.unsigned_abs() >= LEEWAY / 2).then_some(skew)
}

/// Describes a difference in one sentence, for a page and the log.
pub(crate) fn describe_skew(skew: i64) -> String {
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
        let at = |now| measure_skew(date, Timestamp(now));
        assert_eq!(at(then), None);
        assert_eq!(at(then - 90), Some(90));
        assert_eq!(at(then + 3600), Some(-3600));
        for text in [b"".as_slice(), b"yesterday", b"\xff", &[b'1'; 100]] {
            assert_eq!(measure_skew(text, Timestamp(then)), None);
        }
        assert_eq!(
            describe_skew(90),
            "This proxy's clock is 90 seconds behind the identity provider's."
        );
    }
}
