//! SHA-256 digests, cut to the length that their use needs.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// Length of a digest that distinguishes configurations. Only the operator chooses its input, so that 96 bits suffice.
pub(crate) const CONFIGURATION_DIGEST: usize = 12;

/// Returns the first `N` bytes of the SHA-256 digest of `bytes`.
pub(crate) fn hash<const N: usize>(bytes: &[u8]) -> [u8; N] {
    const { assert!(N <= 32, "SHA-256 has 32 bytes") };
    let digest = Sha256::digest(bytes);
    std::array::from_fn(|index| digest[index])
}

/// Returns the digest of a configuration as unpadded base64url.
pub(crate) fn hash_configuration(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(hash::<CONFIGURATION_DIGEST>(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::encode_hex;

    /// The digest of "abc" is one of the examples of FIPS 180.
    #[test]
    fn a_short_digest_is_the_beginning_of_the_whole_one() {
        let whole = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(encode_hex(&hash::<32>(b"abc")), whole);
        assert_eq!(encode_hex(&hash::<8>(b"abc")), whole[..16]);
        let decoded = URL_SAFE_NO_PAD.decode(hash_configuration(b"abc")).unwrap();
        assert_eq!(encode_hex(&decoded), whole[..24]);
    }
}
