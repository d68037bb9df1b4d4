//! Finds requests whose body has two lengths (RFC 9112, 6.3), and requests with a `#` in their target (RFC 9112, 3.2).
//!
//! The HTTP library accepts two equal `Content-Length` lines as one, and drops `Content-Length` beside `Transfer-Encoding`,
//! before any other code sees the request. It also cuts the target at a `#`. An upstream that decides differently would see another request in the body. So
//! this module follows the bytes of a connection on their way to the library, as far as it takes to find the heads in them.
//! The library judges everything else about a head: it refuses more requests than this module gives up on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The longest part of a line that is kept. Names and values of the two fields are far shorter.
const MAX_LINE: usize = 256;
/// The value of [`FramingState::ambiguous`] and [`FramingState::fragment`] for no request.
const NO_REQUEST: u64 = u64::MAX;

const TWO_LENGTHS: &str =
    "the body of the request has two lengths, or the end of the previous request is unknown";
const FRAGMENT: &str = "the target of the request has a `#`";

/// The facts about the requests of one HTTP/1 connection. They are atomic only because the HTTP library demands connections
/// that could move between threads.
#[derive(Clone, Debug)]
pub(crate) struct Framing(Arc<FramingState>);

#[derive(Debug)]
struct FramingState {
    /// The number of the first request, counted from 0, that has two lengths or that follows one whose end is unknown. The
    /// connection ends with it.
    ambiguous: AtomicU64,
    /// The number of the first request, counted from 0, with a `#` in its target. The connection ends with it.
    fragment: AtomicU64,
    /// Whether the connection became a tunnel, so that the next bytes are not HTTP.
    is_tunnel: AtomicBool,
}

impl Default for Framing {
    fn default() -> Self {
        Self(Arc::new(FramingState {
            ambiguous: AtomicU64::new(NO_REQUEST),
            fragment: AtomicU64::new(NO_REQUEST),
            is_tunnel: AtomicBool::new(false),
        }))
    }
}

impl Framing {
    /// Returns what is wrong with the request of this number, counted from 0: it has two lengths or might have them, or its
    /// target has a `#`. A request that cannot be followed to its end must not hide the requests behind it.
    pub(super) fn find_problem(&self, number: u64) -> Option<&'static str> {
        if self.0.ambiguous.load(Ordering::Relaxed) == number {
            return Some(TWO_LENGTHS);
        }
        (self.0.fragment.load(Ordering::Relaxed) == number).then_some(FRAGMENT)
    }

    /// Records that the connection becomes a tunnel.
    pub(super) fn end(&self) {
        self.0.is_tunnel.store(true, Ordering::Relaxed);
    }
}

/// Follows the bytes of a connection and finds the heads of its requests.
#[derive(Debug, Default)]
pub(crate) struct HeadFinder {
    framing: Framing,
    position: FramingPosition,
    /// The current line, as far as it is kept.
    line: Vec<u8>,
    /// The last byte of the current line, kept or not.
    last: Option<u8>,
    head: Head,
    /// How many heads were complete.
    count: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum FramingPosition {
    /// Before the request line; empty lines are skipped (RFC 9112, 2.2).
    #[default]
    Start,
    Fields,
    /// This many bytes of a body are left.
    Body(u64),
    ChunkSize,
    /// This many bytes of a chunk are left, its line end included.
    Chunk(u64),
    Trailers,
    /// The position is unknown, or the bytes are not followed.
    Lost,
}

/// A line of a head, of trailers or before a chunk.
#[derive(Clone, Copy, Debug)]
struct Line<'l> {
    /// The line without its end.
    text: &'l [u8],
    /// Whether nothing was cut off.
    is_whole: bool,
    /// Whether it ends with CR and LF, not with LF alone.
    has_return: bool,
}

/// The fields of one head that state the length of its body.
#[derive(Debug, Default)]
struct Head {
    lengths: u32,
    codings: u32,
    length: Option<u64>,
}

impl HeadFinder {
    /// Records what it finds in this handle.
    pub(crate) fn new(framing: Framing) -> Self {
        Self {
            framing,
            ..Self::default()
        }
    }

    /// Follows the next bytes.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        if self.position != FramingPosition::Lost
            && self.framing.0.is_tunnel.load(Ordering::Relaxed)
        {
            self.position = FramingPosition::Lost;
        }
        while !bytes.is_empty() {
            bytes = match self.position {
                FramingPosition::Lost => return,
                FramingPosition::Body(left) => {
                    self.skip(bytes, left, FramingPosition::Body, FramingPosition::Start)
                }
                FramingPosition::Chunk(left) => self.skip(
                    bytes,
                    left,
                    FramingPosition::Chunk,
                    FramingPosition::ChunkSize,
                ),
                _ => self.read_line(bytes),
            };
        }
    }

    fn skip<'b>(
        &mut self,
        bytes: &'b [u8],
        left: u64,
        more: fn(u64) -> FramingPosition,
        then: FramingPosition,
    ) -> &'b [u8] {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left.saturating_sub(here as u64);
        self.position = if left > 0 { more(left) } else { then };
        bytes.get(here..).unwrap_or_default()
    }

    /// Reads up to the end of the line, or all bytes if the line does not end.
    fn read_line<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (part, rest) = match end {
            Some(end) => bytes.split_at_checked(end + 1).unwrap_or((bytes, &[])),
            None => (bytes, [].as_slice()),
        };
        if self.position == FramingPosition::Start && part.contains(&b'#') {
            self.record_fragment();
        }
        let room = MAX_LINE.saturating_sub(self.line.len());
        self.line.extend(part.iter().take(room));
        if end.is_some() {
            let before = part.iter().rev().nth(1).copied().or(self.last);
            let text = std::mem::take(&mut self.line);
            // A line that was cut has no end.
            let whole = text.strip_suffix(b"\n");
            let whole = whole.map(|text| text.strip_suffix(b"\r").unwrap_or(text));
            self.take_line(Line {
                text: whole.unwrap_or(&text),
                is_whole: whole.is_some(),
                has_return: before == Some(b'\r'),
            });
            // The buffer is used again.
            self.line = text;
            self.line.clear();
            self.last = None;
        } else {
            self.last = part.last().copied();
        }
        rest
    }

    fn take_line(&mut self, line: Line<'_>) {
        self.position = match self.position {
            FramingPosition::Start if line.text.is_empty() => FramingPosition::Start,
            FramingPosition::Start => {
                self.head = Head::default();
                FramingPosition::Fields
            }
            FramingPosition::Fields if line.text.is_empty() => self.end_head(),
            FramingPosition::Fields => {
                self.head.take_field(line);
                FramingPosition::Fields
            }
            FramingPosition::ChunkSize => match parse_chunk_size(line) {
                Some(0) => FramingPosition::Trailers,
                Some(size) => FramingPosition::Chunk(size.saturating_add(2)),
                None => self.lose(self.count),
            },
            // The library continues with the line here.
            FramingPosition::Trailers if !line.has_return => self.lose(self.count),
            FramingPosition::Trailers if line.text.is_empty() => FramingPosition::Start,
            FramingPosition::Trailers => FramingPosition::Trailers,
            position => position,
        };
    }

    /// Records that the request line of the next request has a `#`. Nothing but the target can contain one: the library refuses
    /// it in methods that may be forwarded and in versions.
    fn record_fragment(&self) {
        let fragment = &self.framing.0.fragment;
        if fragment.load(Ordering::Relaxed) == NO_REQUEST {
            fragment.store(self.count, Ordering::Relaxed);
        }
    }

    /// Gives up at the request of this number: the one with two lengths, or the next one if the end of the current one is
    /// unknown. The library may find an end where none is found here, and must not continue unseen.
    fn lose(&self, number: u64) -> FramingPosition {
        let ambiguous = &self.framing.0.ambiguous;
        ambiguous.store(number, Ordering::Relaxed);
        FramingPosition::Lost
    }

    fn end_head(&mut self) -> FramingPosition {
        let number = self.count;
        self.count = self.count.saturating_add(1);
        match self.head {
            Head {
                lengths: 0,
                codings: 0,
                ..
            } => FramingPosition::Start,
            Head {
                lengths: 0,
                codings: 1,
                ..
            } => FramingPosition::ChunkSize,
            Head {
                lengths: 1,
                codings: 0,
                length,
            } => match length {
                Some(0) => FramingPosition::Start,
                Some(length) => FramingPosition::Body(length),
                None => self.lose(self.count),
            },
            _ => self.lose(number),
        }
    }
}

impl Head {
    fn take_field(&mut self, line: Line<'_>) {
        let Some(colon) = line.text.iter().position(|byte| *byte == b':') else {
            return;
        };
        let (name, value) = line.text.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths = self.lengths.saturating_add(1);
            let digits = std::str::from_utf8(value).ok().filter(|_| line.is_whole);
            self.length = digits.and_then(|digits| digits.parse().ok());
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.codings = self.codings.saturating_add(1);
        }
    }
}

/// Returns the size of a chunk without its extensions (RFC 9112, 7.1), which may be longer than the part of a line that is
/// kept.
fn parse_chunk_size(line: Line<'_>) -> Option<u64> {
    let mut parts = line.text.split(|byte| *byte == b';');
    let digits = parts.next()?.trim_ascii();
    if !line.is_whole && parts.next().is_none() {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of the first request in these bytes with this problem. The bytes arrive in pieces of every size.
    fn find_request(bytes: &str, problem: &str) -> Option<u64> {
        let found: Vec<Option<u64>> = (1..=bytes.len())
            .map(|size| {
                let framing = Framing::default();
                let mut finder = HeadFinder::new(framing.clone());
                for piece in bytes.as_bytes().chunks(size) {
                    finder.follow(piece);
                }
                (0..10).find(|number| framing.find_problem(*number) == Some(problem))
            })
            .collect();
        assert!(found.windows(2).all(|two| two[0] == two[1]), "{bytes:?}");
        found[0]
    }

    fn find_ambiguous(bytes: &str) -> Option<u64> {
        find_request(bytes, TWO_LENGTHS)
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const TWICE: &str = "POST / HTTP/1.1\r\nContent-Length: 3\r\ncontent-LENGTH:3\r\n\r\nabc";
    const BOTH: &str =
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

    /// N-19
    #[test]
    fn two_lengths_are_found_wherever_they_stand() {
        let sized = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /";
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                       5;x=y\r\nGET /\r\nA\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nTrailer: 1\r\n\r\n";
        for before in ["", "\r\n\r\n", GET, sized, chunked] {
            let number = u64::from(before.len() > 4);
            for bad in [TWICE, BOTH, &BOTH.replace("\r\n", "\n")] {
                assert_eq!(
                    find_ambiguous(&format!("{before}{bad}")),
                    Some(number),
                    "{before:?} {bad:?}"
                );
            }
            assert_eq!(
                find_ambiguous(&format!("{before}{GET}{TWICE}")),
                Some(number + 1)
            );
        }
        let cut = format!(
            "POST / HTTP/1.1\r\nContent-Length:{}3\r\nContent-Length: 3\r\n\r\n",
            " ".repeat(300)
        );
        assert_eq!(find_ambiguous(&cut), Some(0));
        let codings =
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(find_ambiguous(codings), Some(0));
    }

    /// N-19: a request that is read differently here than by the library hides nothing behind it.
    #[test]
    fn n_19_nothing_hides_behind_what_cannot_be_followed() {
        let sized = "POST / HTTP/1.1\r\nContent-Length:";
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for before in [
            format!("{sized}{}3\r\n\r\nabc", " ".repeat(300)),
            format!("{sized} {}3\r\n\r\nabc", "0".repeat(300)),
            format!("{chunked}3;x={}\r\nabc\r\n0\r\n\r\n", "y".repeat(300)),
            format!("{chunked}{}3\r\nabc\r\n0\r\n\r\n", "0".repeat(300)),
            format!("{chunked}0\r\n\nX: y\r\n\r\n"),
            format!("{chunked}0\r\nX: y\n\r\n\r\n"),
            format!("{chunked}0\r\nX: {}\n\r\n\r\n", "y".repeat(300)),
        ] {
            for bad in [TWICE, BOTH] {
                assert_eq!(
                    find_ambiguous(&format!("{before}{bad}")),
                    Some(1),
                    "{before:?}"
                );
            }
        }
        for legal in [
            format!("{chunked}3;x={}\r\nabc\r\n0\r\n\r\n", "y".repeat(300)),
            format!("{chunked}0\r\nX: {}\r\n\r\n", "y".repeat(300)),
        ] {
            assert_eq!(find_ambiguous(&format!("{legal}{GET}")), None, "{legal:?}");
            assert_eq!(find_ambiguous(&format!("{legal}{GET}{TWICE}")), Some(2));
        }
    }

    #[test]
    fn ordinary_requests_and_bodies_are_not_ambiguous() {
        let body = format!(
            "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{TWICE}",
            TWICE.len()
        );
        assert_eq!(find_ambiguous(&format!("{body}{GET}")), None);
        let long = format!(
            "GET / HTTP/1.1\r\nX-Content-Length: {}\r\nContent-Length: 0\r\n\r\n",
            "1".repeat(600)
        );
        assert_eq!(find_ambiguous(&format!("{long}{GET}")), None);
        for junk in ["\n", "nonsense\r\n\r\n"] {
            assert_eq!(find_ambiguous(junk), None, "{junk:?}");
        }
        // The library refuses it, so that no request has the number behind it.
        let junk = "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n";
        assert_eq!(find_ambiguous(junk), Some(1), "{junk:?}");
        let chunks = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
        assert_eq!(
            find_ambiguous(&format!("{chunks}{TWICE}")),
            Some(1),
            "the library gives up, too; if it did not, the next request would be refused"
        );
    }

    #[test]
    fn a_fragment_is_found_in_targets_alone() {
        let find = |bytes: &str| find_request(bytes, FRAGMENT);
        let long = format!("GET /{}#x HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(600));
        for bad in ["GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?a#", &long] {
            assert_eq!(find(bad), Some(0), "{bad:?}");
            assert_eq!(find(&format!("{GET}\r\n{bad}{bad}")), Some(1), "{bad:?}");
        }
        let body = "POST / HTTP/1.1\r\nX-Any: #\r\nContent-Length: 3\r\n\r\n#\n#";
        let chunks =
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;#\r\n#\r\n0\r\n#: #\r\n\r\n";
        assert_eq!(find(&format!("{GET}{body}{chunks}{GET}")), None);
    }

    #[test]
    fn a_tunnel_is_not_looked_into() {
        let framing = Framing::default();
        let mut finder = HeadFinder::new(framing.clone());
        finder.follow(GET.as_bytes());
        framing.end();
        finder.follow(TWICE.as_bytes());
        assert_eq!(framing.find_problem(1), None);
    }
}
