//! The serialised form of header maps: `u32 count`, `count × (u32 name length, u32 value length)`, then each name and each
//! value followed by one zero byte. Integers are little-endian.

use http::HeaderMap;

/// Largest serialised map that is read from the plugin: Envoy's own limit.
const SIZE_LIMIT: usize = 1024 * 1024;
/// Most pairs of a serialised map that is read from the plugin: Envoy's own limit.
const COUNT_LIMIT: usize = 1024;

/// Most pseudo headers of one head (`:authority`, `:path`, `:method`, `:scheme`).
pub(crate) const PSEUDO_LIMIT: usize = 4;

/// A pseudo header.
pub(crate) type Pseudo<'a> = (&'static str, &'a [u8]);

/// The fields of a head in the order in which the plugin sees them, pseudo headers first.
pub(crate) struct Fields<'a> {
    pseudo: [Pseudo<'a>; PSEUDO_LIMIT],
    pseudo_count: usize,
    headers: &'a HeaderMap,
}

impl<'a> Fields<'a> {
    /// Returns the fields of a request's head.
    pub(crate) fn four(pseudo: [Pseudo<'a>; PSEUDO_LIMIT], headers: &'a HeaderMap) -> Self {
        Self {
            pseudo,
            pseudo_count: PSEUDO_LIMIT,
            headers,
        }
    }

    /// Returns the fields of a response's head.
    pub(crate) fn one(pseudo: Pseudo<'a>, headers: &'a HeaderMap) -> Self {
        let absent: Pseudo<'a> = ("", b"");
        Self {
            pseudo: [pseudo, absent, absent, absent],
            pseudo_count: 1,
            headers,
        }
    }

    /// Returns the first value of a field. Names are case-insensitive.
    pub(crate) fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        if let Some(found) = self.pseudo().iter().find(|(key, _)| is_pseudo(key, name)) {
            return Some(found.1);
        }
        let name = std::str::from_utf8(name).ok()?;
        self.headers.get(name).map(http::HeaderValue::as_bytes)
    }

    /// Returns the number of fields; repeated ones count each time.
    pub(crate) fn count(&self) -> usize {
        self.pseudo_count.saturating_add(self.headers.len())
    }

    /// Returns the number of bytes of all names and values.
    pub(crate) fn bytes(&self) -> usize {
        self.iter()
            .map(|(name, value)| name.len().saturating_add(value.len()))
            .sum()
    }

    /// Returns the size of the serialised form.
    pub(crate) fn serialised_size(&self) -> usize {
        // Eight bytes of lengths and two zeros for each field.
        4 + self.count() * 10 + self.bytes()
    }

    /// Writes the serialised form into space of exactly its size. Returns `None` if the space has another size.
    pub(crate) fn serialise(&self, space: &mut [u8]) -> Option<()> {
        let (count, space) = space.split_first_chunk_mut::<4>()?;
        *count = u32::try_from(self.count()).ok()?.to_le_bytes();
        let (lengths, mut text) = space.split_at_mut_checked(self.count().checked_mul(8)?)?;
        let mut lengths = lengths.chunks_exact_mut(4);
        for (name, value) in self.iter() {
            lengths
                .next()?
                .copy_from_slice(&u32::try_from(name.len()).ok()?.to_le_bytes());
            lengths
                .next()?
                .copy_from_slice(&u32::try_from(value.len()).ok()?.to_le_bytes());
            text = put(text, name)?;
            text = put(text, value)?;
        }
        text.is_empty().then_some(())
    }

    fn pseudo(&self) -> &[Pseudo<'a>] {
        self.pseudo.get(..self.pseudo_count).unwrap_or_default()
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let pseudo = self
            .pseudo()
            .iter()
            .map(|(name, value)| (name.as_bytes(), *value));
        pseudo.chain(
            self.headers
                .iter()
                .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())),
        )
    }
}

/// Returns whether `name` means this pseudo header; `host` is another name of `:authority`, as in Envoy.
pub(crate) fn is_pseudo(pseudo: &str, name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(pseudo.as_bytes())
        || (pseudo == ":authority" && name.eq_ignore_ascii_case(b"host"))
}

/// Copies a string and its final zero to the front of `space` and returns the rest of the space.
fn put<'s>(space: &'s mut [u8], text: &[u8]) -> Option<&'s mut [u8]> {
    let (target, rest) = space.split_at_mut_checked(text.len())?;
    target.copy_from_slice(text);
    let (zero, rest) = rest.split_first_mut()?;
    *zero = 0;
    Some(rest)
}

/// Parses a serialised map. Returns `None` if it is malformed or beyond the limits. Zero bytes are an empty map.
pub(crate) fn parse(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    if bytes.len() > SIZE_LIMIT {
        return None;
    }
    let (count, bytes) = split_u32(bytes)?;
    if count > COUNT_LIMIT {
        return None;
    }
    let (mut lengths, mut text) = bytes.split_at_checked(count.checked_mul(8)?)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let (name_length, rest) = split_u32(lengths)?;
        let (value_length, rest) = split_u32(rest)?;
        lengths = rest;
        let (name, rest) = split_text(text, name_length)?;
        let (value, rest) = split_text(rest, value_length)?;
        text = rest;
        pairs.push((name, value));
    }
    text.is_empty().then_some(pairs)
}

fn split_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

fn split_text(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    match rest.split_first()? {
        (0, rest) => Some((text, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn serialised(fields: &Fields<'_>) -> Vec<u8> {
        let mut space = vec![0xEE; fields.serialised_size()];
        fields.serialise(&mut space).unwrap();
        space
    }

    #[test]
    fn a_map_is_written_byte_by_byte_as_the_abi_says() {
        let mut headers = HeaderMap::new();
        headers.insert("b", HeaderValue::from_static("22"));
        let fields = Fields::one((":a", b"1"), &headers);
        let expected = b"\x02\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\0\0\x02\0\0\0:a\x001\0b\x0022\0";
        assert_eq!(serialised(&fields), expected);
        assert_eq!(
            parse(expected).unwrap(),
            [(&b":a"[..], &b"1"[..]), (&b"b"[..], &b"22"[..])]
        );
    }

    #[test]
    fn repeated_fields_and_bytes_that_are_not_utf_8_survive() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", HeaderValue::from_bytes(b"a=\xff").unwrap());
        headers.append("cookie", HeaderValue::from_static("b=2"));
        let fields = Fields::one((":status", b"200"), &headers);
        let bytes = serialised(&fields);
        let pairs = parse(&bytes).unwrap();
        assert_eq!(pairs[1], (&b"cookie"[..], &b"a=\xff"[..]));
        assert_eq!(pairs[2], (&b"cookie"[..], &b"b=2"[..]));
        assert_eq!(fields.value(b"Cookie"), Some(&b"a=\xff"[..]));
    }

    #[test]
    fn space_of_another_size_is_refused() {
        let headers = HeaderMap::new();
        let fields = Fields::one((":status", b"200"), &headers);
        let size = fields.serialised_size();
        assert!(fields.serialise(&mut vec![0; size - 1]).is_none());
        assert!(fields.serialise(&mut vec![0; size + 1]).is_none());
        assert!(fields.serialise(&mut []).is_none());
    }

    #[test]
    fn malformed_maps_are_not_read() {
        let good = b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\x001\0";
        assert!(parse(good).is_some());
        for end in 1..good.len() {
            assert!(parse(&good[..end]).is_none(), "cut at {end}");
        }
        assert!(
            parse(&[good.as_slice(), b"\0"].concat()).is_none(),
            "bytes after the end"
        );
        assert!(
            parse(b"\x01\0\0\0\x01\0\0\0\x01\0\0\0ax1\0").is_none(),
            "no zero after the name"
        );
        assert!(
            parse(b"\x01\0\0\0\xff\xff\xff\xff\x01\0\0\0a\x001\0").is_none(),
            "huge name"
        );
        assert!(parse(b"\xff\xff\xff\xff").is_none(), "huge count");
        let many = [&1025_u32.to_le_bytes()[..], &[0; 1025 * 10]].concat();
        assert!(parse(&many).is_none(), "too many pairs");
        assert!(parse(&vec![0; SIZE_LIMIT + 1]).is_none(), "too large");
    }

    #[test]
    fn both_spellings_of_nothing_are_an_empty_map() {
        assert!(parse(b"").unwrap().is_empty());
        assert!(parse(b"\0\0\0\0").unwrap().is_empty());
    }
}
