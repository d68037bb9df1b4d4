//! Secret bytes.

use subtle::{Choice, ConstantTimeEq as _};

/// Bytes that never appear in a log, a page or `Debug` output, and are wiped when dropped.
#[derive(Clone, Default, zeroize::ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes ownership of the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for the one place that uses them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Returns whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Returns whether two strings of bytes are equal, without stopping at the first difference, so that the time reveals nothing
/// about a secret one.
///
/// It compares a block at a time, because a session cookie has several hundred bytes or more and comes with every request.
pub(crate) fn is_equal_in_constant_time(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let blocks = left.chunks(BLOCK).zip(right.chunks(BLOCK));
    let equal = blocks.fold(Choice::from(1), |equal, (left, right)| {
        equal & differing_bits(left, right).ct_eq(&0)
    });
    equal.into()
}

/// How many bytes are compared before their difference is hidden from the optimizer.
const BLOCK: usize = 64;

/// Returns a number that is zero only for equal blocks of the same length. All bytes are read.
fn differing_bits(left: &[u8], right: &[u8]) -> u64 {
    let (left_words, left_rest) = left.as_chunks::<8>();
    let (right_words, right_rest) = right.as_chunks::<8>();
    let words = left_words.iter().zip(right_words);
    let bits = words.fold(0, |bits, (left, right)| {
        bits | (u64::from_ne_bytes(*left) ^ u64::from_ne_bytes(*right))
    });
    let rest = left_rest.iter().zip(right_rest);
    rest.fold(bits, |bits, (left, right)| bits | u64::from(left ^ right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_difference_is_found() {
        let secret: Vec<u8> = (0..101).collect();
        assert!(is_equal_in_constant_time(&secret, &secret.clone()));
        assert!(is_equal_in_constant_time(&[], &[]));
        for place in 0..secret.len() {
            let mut other = secret.clone();
            other[place] ^= 0x80;
            assert!(!is_equal_in_constant_time(&secret, &other), "{place}");
            assert!(!is_equal_in_constant_time(&secret, &secret[..place]));
        }
    }
}
