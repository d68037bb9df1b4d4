//! A range of the source.

use std::ops::Range;

use serde_saphyr::Location as ParserLocation;

/// The place of a key or value. Lines and columns count from one; columns and lengths are in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// In bytes, from the beginning of the source.
    pub(crate) offset: u32,
    /// At least one.
    pub(crate) length: u32,
}

impl Place {
    /// Returns the place of a value; `None` when the parser does not know it.
    pub(super) fn of(location: ParserLocation) -> Option<Self> {
        let span = location.span();
        let number = |value: u64| u32::try_from(value).ok();
        let (line, column) = (number(location.line())?, number(location.column())?);
        (line > 0 && column > 0).then_some(Self {
            line,
            column,
            offset: number(span.byte_offset()?)?,
            length: number(span.len()).unwrap_or(1).max(1),
        })
    }

    /// Returns the place of an error, for which the parser may know only line and column.
    pub(super) fn find(location: ParserLocation, text: &str) -> Option<Self> {
        Self::of(location).or_else(|| {
            let number = |value: u64| u32::try_from(value).ok().filter(|number| *number > 0);
            let (line, column) = (number(location.line())?, number(location.column())?);
            Some(Self {
                line,
                column,
                offset: offset_of(text, line, column)?,
                length: 1,
            })
        })
    }

    /// Returns the bytes of the source that it covers.
    pub(crate) fn bytes(&self, text: &str) -> Option<Range<usize>> {
        let start = usize::try_from(self.offset).ok()?;
        let length = usize::try_from(self.length).ok()?;
        let covered = text.get(start..)?.chars().take(length).map(char::len_utf8);
        Some(start..start + covered.sum::<usize>())
    }

    /// Returns the place of a byte.
    pub(crate) fn at(text: &str, offset: usize) -> Option<Self> {
        let before = text.get(..offset)?;
        let begin = before.rfind(['\n', '\r']).map_or(0, |at| at + 1);
        let breaks = Breaks(before).count();
        let column = before.get(begin..)?.chars().count();
        Some(Self {
            line: u32::try_from(breaks).ok()?.checked_add(1)?,
            column: u32::try_from(column).ok()?.checked_add(1)?,
            offset: u32::try_from(offset).ok()?,
            length: 1,
        })
    }
}

fn offset_of(text: &str, line: u32, column: u32) -> Option<u32> {
    let skipped = usize::try_from(line.checked_sub(1)?).ok()?;
    let begin = match skipped.checked_sub(1) {
        None => 0,
        Some(last) => Breaks(text).nth(last)?,
    };
    let characters = usize::try_from(column.checked_sub(1)?).ok()?;
    let rest = text.get(begin..)?;
    let within = rest
        .char_indices()
        .nth(characters)
        .map_or(rest.len(), |(at, _)| at);
    u32::try_from(begin.checked_add(within)?).ok()
}

/// Iterates over the offsets at which each line but the first begins. YAML breaks lines at `\n`, `\r\n` and `\r`.
struct Breaks<'t>(&'t str);

impl<'t> Breaks<'t> {
    fn count(self) -> usize {
        self.iter().count()
    }

    fn nth(self, index: usize) -> Option<usize> {
        self.iter().nth(index)
    }

    fn iter(&self) -> impl Iterator<Item = usize> + use<'t> {
        let bytes = self.0.as_bytes();
        bytes.iter().enumerate().filter_map(move |(at, byte)| {
            let next = at + 1;
            match byte {
                b'\n' => Some(next),
                b'\r' if bytes.get(next) != Some(&b'\n') => Some(next),
                _ => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a\r\nbö: 1\rc\nd";

    #[test]
    fn lines_and_columns_are_converted_to_bytes_and_back() {
        for (line, column, offset) in [(1, 1, 0), (2, 1, 3), (2, 4, 7), (3, 1, 10), (4, 1, 12)] {
            assert_eq!(offset_of(TEXT, line, column), Some(offset));
            let place = Place::at(TEXT, offset as usize).unwrap();
            assert_eq!((place.line, place.column), (line, column));
        }
        assert_eq!(offset_of(TEXT, 5, 1), None);
        assert_eq!(offset_of(TEXT, 4, 9), Some(13));
        assert_eq!(Place::at(TEXT, 99), None);
    }
}
