//! Requests whose body has two lengths (RFC 9112, 6.3).
//!
//! The HTTP library takes two equal `Content-Length` lines for one, and drops `Content-Length` beside `Transfer-Encoding`,
//! before anyone else sees the request. A server behind that decides otherwise would see another request in the body. So
//! the bytes of a connection are followed here on their way to the library, as far as it takes to find the heads in them.
//! Anything else about a head is the library's to judge: it refuses more than what is given up on here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Longest part of a line that is kept: names and values of the two fields are far shorter.
const LINE: usize = 256;
/// No request is ambiguous.
const NONE: u64 = u64::MAX;

/// What is known of the requests of one HTTP/1 connection. Atomic only because the HTTP library demands connections that
/// could move between threads.
#[derive(Clone, Debug)]
pub(super) struct Framing(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Number of the first request that has two lengths, or that follows one whose end is unknown, from 0. The connection
    /// ends with it.
    ambiguous: AtomicU64,
    /// Whether what comes now is no HTTP.
    over: AtomicBool,
}

impl Default for Framing {
    fn default() -> Self {
        Self(Arc::new(Shared {
            ambiguous: AtomicU64::new(NONE),
            over: AtomicBool::new(false),
        }))
    }
}

impl Framing {
    /// Whether the request of this number, from 0, has two lengths, or might have them: what is not followed to its end
    /// is not to hide the requests behind it.
    pub(super) fn is_ambiguous(&self, number: u64) -> bool {
        self.0.ambiguous.load(Ordering::Relaxed) == number
    }

    /// Notes that the connection becomes a tunnel.
    pub(super) fn end(&self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Follows the bytes of a connection.
#[derive(Debug, Default)]
pub(super) struct Heads {
    framing: Framing,
    state: State,
    /// The present line, as far as it is kept.
    line: Vec<u8>,
    /// The last byte of the present line, kept or not.
    last: Option<u8>,
    head: Head,
    /// How many heads were complete.
    count: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the request line; empty lines are passed over (RFC 9112, 2.2).
    #[default]
    Start,
    Fields,
    /// So many bytes of a body are left.
    Body(u64),
    ChunkSize,
    /// So many bytes of a chunk are left, its line end included.
    Chunk(u64),
    Trailers,
    /// What follows cannot be told, or is not looked at.
    Lost,
}

/// A line of a head, of trailers or before a chunk.
#[derive(Clone, Copy, Debug)]
struct Line<'l> {
    /// Without its end.
    text: &'l [u8],
    /// Whether nothing was cut off.
    is_whole: bool,
    /// Whether it ends with CR and LF, not with LF alone.
    has_return: bool,
}

/// What one head says about its body.
#[derive(Debug, Default)]
struct Head {
    lengths: u32,
    codings: u32,
    length: Option<u64>,
}

impl Heads {
    /// Tells this handle what it finds.
    pub(super) fn for_handle(framing: Framing) -> Self {
        Self {
            framing,
            ..Self::default()
        }
    }

    /// Takes in the next bytes.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        if self.state != State::Lost && self.framing.0.over.load(Ordering::Relaxed) {
            self.state = State::Lost;
        }
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Lost => return,
                State::Body(left) => self.skip(bytes, left, State::Body, State::Start),
                State::Chunk(left) => self.skip(bytes, left, State::Chunk, State::ChunkSize),
                _ => self.read_line(bytes),
            };
        }
    }

    fn skip<'b>(
        &mut self,
        bytes: &'b [u8],
        left: u64,
        more: fn(u64) -> State,
        then: State,
    ) -> &'b [u8] {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left.saturating_sub(here as u64);
        self.state = if left > 0 { more(left) } else { then };
        bytes.get(here..).unwrap_or_default()
    }

    /// Reads to the end of the line, or as far as there is something.
    fn read_line<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (part, rest) = match end {
            Some(end) => bytes.split_at_checked(end + 1).unwrap_or((bytes, &[])),
            None => (bytes, [].as_slice()),
        };
        let room = LINE.saturating_sub(self.line.len());
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
            // The room that it has is used again.
            self.line = text;
            self.line.clear();
            self.last = None;
        } else {
            self.last = part.last().copied();
        }
        rest
    }

    fn take_line(&mut self, line: Line<'_>) {
        self.state = match self.state {
            State::Start if line.text.is_empty() => State::Start,
            State::Start => {
                self.head = Head::default();
                State::Fields
            }
            State::Fields if line.text.is_empty() => self.end_head(),
            State::Fields => {
                self.head.take_field(line);
                State::Fields
            }
            State::ChunkSize => match chunk_size(line) {
                Some(0) => State::Trailers,
                Some(size) => State::Chunk(size.saturating_add(2)),
                None => self.lose(self.count),
            },
            // The library goes on with the line here.
            State::Trailers if !line.has_return => self.lose(self.count),
            State::Trailers if line.text.is_empty() => State::Start,
            State::Trailers => State::Trailers,
            state => state,
        };
    }

    /// Gives up at the request of this number: the one with two lengths, or the next one if the end of the present one
    /// cannot be told. The library may find an end where nothing is found here, and is not to go on unseen.
    fn lose(&self, number: u64) -> State {
        let ambiguous = &self.framing.0.ambiguous;
        ambiguous.store(number, Ordering::Relaxed);
        State::Lost
    }

    fn end_head(&mut self) -> State {
        let number = self.count;
        self.count = self.count.saturating_add(1);
        match self.head {
            Head {
                lengths: 0,
                codings: 0,
                ..
            } => State::Start,
            Head {
                lengths: 0,
                codings: 1,
                ..
            } => State::ChunkSize,
            Head {
                lengths: 1,
                codings: 0,
                length,
            } => match length {
                Some(0) => State::Start,
                Some(length) => State::Body(length),
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

/// The size of a chunk, extensions left aside (RFC 9112, 7.1). They may be longer than what is kept of a line.
fn chunk_size(line: Line<'_>) -> Option<u64> {
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

    /// The number of the ambiguous request in these bytes, which come in pieces of every size.
    fn ambiguous(bytes: &str) -> Option<u64> {
        let found: Vec<Option<u64>> = (1..=bytes.len())
            .map(|size| {
                let framing = Framing::default();
                let mut heads = Heads::for_handle(framing.clone());
                for piece in bytes.as_bytes().chunks(size) {
                    heads.follow(piece);
                }
                (0..10).find(|number| framing.is_ambiguous(*number))
            })
            .collect();
        assert!(found.windows(2).all(|two| two[0] == two[1]), "{bytes:?}");
        found[0]
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
                    ambiguous(&format!("{before}{bad}")),
                    Some(number),
                    "{before:?} {bad:?}"
                );
            }
            assert_eq!(
                ambiguous(&format!("{before}{GET}{TWICE}")),
                Some(number + 1)
            );
        }
        let cut = format!(
            "POST / HTTP/1.1\r\nContent-Length:{}3\r\nContent-Length: 3\r\n\r\n",
            " ".repeat(300)
        );
        assert_eq!(ambiguous(&cut), Some(0));
        let codings =
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(ambiguous(codings), Some(0));
    }

    /// N-19: what is read otherwise here than by the library hides nothing behind it.
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
                assert_eq!(ambiguous(&format!("{before}{bad}")), Some(1), "{before:?}");
            }
        }
        for legal in [
            format!("{chunked}3;x={}\r\nabc\r\n0\r\n\r\n", "y".repeat(300)),
            format!("{chunked}0\r\nX: {}\r\n\r\n", "y".repeat(300)),
        ] {
            assert_eq!(ambiguous(&format!("{legal}{GET}")), None, "{legal:?}");
            assert_eq!(ambiguous(&format!("{legal}{GET}{TWICE}")), Some(2));
        }
    }

    #[test]
    fn ordinary_requests_and_bodies_are_not_ambiguous() {
        let body = format!(
            "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{TWICE}",
            TWICE.len()
        );
        assert_eq!(ambiguous(&format!("{body}{GET}")), None);
        let long = format!(
            "GET / HTTP/1.1\r\nX-Content-Length: {}\r\nContent-Length: 0\r\n\r\n",
            "1".repeat(600)
        );
        assert_eq!(ambiguous(&format!("{long}{GET}")), None);
        for junk in ["\n", "nonsense\r\n\r\n"] {
            assert_eq!(ambiguous(junk), None, "{junk:?}");
        }
        // The library refuses it, so that no request has the number behind it.
        let junk = "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n";
        assert_eq!(ambiguous(junk), Some(1), "{junk:?}");
        let chunks = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
        assert_eq!(
            ambiguous(&format!("{chunks}{TWICE}")),
            Some(1),
            "the library gives up, too; if it did not, the next request would be refused"
        );
    }

    #[test]
    fn a_tunnel_is_not_looked_into() {
        let framing = Framing::default();
        let mut heads = Heads::for_handle(framing.clone());
        heads.follow(GET.as_bytes());
        framing.end();
        heads.follow(TWICE.as_bytes());
        assert!(!framing.is_ambiguous(1));
    }
}
