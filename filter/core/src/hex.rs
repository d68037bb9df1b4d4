//! Bytes as hexadecimal digits, and UUIDs.

/// Returns bytes as lower-case hexadecimal digits.
#[must_use]
pub fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().copied().flat_map(digits).collect()
}

/// Formats 16 random bytes as a version 4 UUID (RFC 9562 section 5.4).
#[must_use]
pub fn format_uuid(mut random: [u8; 16]) -> String {
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let mut uuid = String::with_capacity(36);
    for (index, byte) in random.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            uuid.push('-');
        }
        uuid.extend(digits(byte));
    }
    uuid
}

fn digits(byte: u8) -> [char; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 0xf].map(|digit| char::from(DIGITS[usize::from(digit)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_two_digits() {
        assert_eq!(encode_hex(&[0x00, 0x0a, 0xf0, 0xff]), "000af0ff");
        assert_eq!(encode_hex(&[]), "");
    }

    #[test]
    fn uuids_have_their_version_and_variant() {
        assert_eq!(
            format_uuid([0xff; 16]),
            "ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
        assert_eq!(format_uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
        let counted = std::array::from_fn(|index| index as u8);
        assert_eq!(format_uuid(counted), "00010203-0405-4607-8809-0a0b0c0d0e0f");
    }
}
