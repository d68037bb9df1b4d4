//! One `Cookie` header, in which the proxy's own cookies are found in one pass.

use std::ops::Range;

use memchr::memchr_iter;

/// One `Cookie` header of a request, and where the proxy's own cookies are in it.
#[derive(Debug)]
pub(crate) struct CookieLine<'a> {
    header: &'a [u8],
    /// The own cookies, in their order: each from the `;` before it to the `;` behind it, without these.
    own: Vec<Range<usize>>,
    /// Whether the other cookies are as browsers write them: none is empty, and one space follows each `;`. They can then be
    /// copied together.
    is_regular: bool,
}

impl<'a> CookieLine<'a> {
    /// Finds the cookies for which `is_own` returns `true`. It gets them with the spaces around them.
    pub(super) fn scan(header: &'a [u8], is_own: impl Fn(&[u8]) -> bool) -> Self {
        let mut line = Self {
            header,
            own: Vec::new(),
            is_regular: true,
        };
        let mut start = 0;
        for end in memchr_iter(b';', header).chain([header.len()]) {
            let pair = header.get(start..end).unwrap_or_default();
            if is_own(pair) {
                line.own.push(start..end);
            } else {
                line.is_regular &= match pair {
                    [b' ', rest @ ..] => start > 0 && !rest.is_empty(),
                    [] => false,
                    _ => start == 0,
                };
            }
            start = end + 1;
        }
        line
    }

    /// Returns the header as the client sent it.
    pub(crate) fn header(&self) -> &'a [u8] {
        self.header
    }

    /// Returns whether there is any of the proxy's own cookies.
    pub(crate) fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// Returns the proxy's own cookies.
    pub(super) fn own_pairs(&self) -> impl Iterator<Item = &'a [u8]> {
        let pairs = self.own.iter().cloned();
        pairs.map(|place| trim_separator(self.header.get(place).unwrap_or_default()))
    }

    /// Returns about how many bytes are not of the proxy's own cookies.
    pub(crate) fn others_len(&self) -> usize {
        let own = self.own.iter().map(ExactSizeIterator::len);
        self.header.len().saturating_sub(own.sum())
    }

    /// Appends the cookies that are not the proxy's own, as they are and in their order. A header without own cookies does not
    /// change.
    pub(crate) fn append_others(&self, into: &mut Vec<u8>) {
        if !self.has_own() {
            append(self.header, into);
            return;
        }
        for run in self.runs() {
            if self.is_regular {
                append(trim_separator(run), into);
                continue;
            }
            let pairs = run.split(|&byte| byte == b';').map(trim_separator);
            for pair in pairs.filter(|pair| !pair.is_empty()) {
                append(pair, into);
            }
        }
    }

    /// Returns the cookies between own ones, together.
    fn runs(&self) -> impl Iterator<Item = &'a [u8]> {
        let ends = self.own.iter().map(|own| own.start.checked_sub(1));
        let starts = self.own.iter().map(|own| own.end + 1);
        let places = std::iter::once(0)
            .chain(starts)
            .zip(ends.chain([Some(self.header.len())]));
        // There is nothing before an own cookie at the beginning, behind one at the end, or between two neighbours.
        places.filter_map(|(start, end)| self.header.get(start..end?))
    }
}

/// Appends one or more cookies to a header. An empty line has none.
fn append(cookies: &[u8], into: &mut Vec<u8>) {
    if cookies.is_empty() {
        return;
    }
    if !into.is_empty() {
        into.extend_from_slice(b"; ");
    }
    into.extend_from_slice(cookies);
}

/// Removes the space that belongs to the separator `; `.
fn trim_separator(pair: &[u8]) -> &[u8] {
    pair.strip_prefix(b" ").unwrap_or(pair)
}
