//! Bodies and the lines that say how long they are.

use super::super::request::{Protocol, Request};
use crate::Dice;

pub(super) fn add_ordinary(dice: &mut Dice, request: &mut Request, protocol: Protocol) {
    match (dice.below(3), protocol) {
        (0, _) => request.frame(&["Content-Length: 0"], b""),
        (1, Protocol::Http1) => request.frame(
            &["Transfer-Encoding: chunked"],
            b"5\r\nhello\r\n2\r\n w\r\n0\r\n\r\n",
        ),
        _ => request.frame(&["Content-Length: 5"], b"hello"),
    }
    if protocol == Protocol::Http2 && dice.once_in(2) && !request.body.is_empty() {
        let length = request.body.len().to_string();
        request.add("content-length", length);
    }
}

/// Lines and bodies. None of these bodies is shorter than what its lines say in one reading or another: a proxy would wait.
const FRAMINGS: &[(&[&str], &str)] = &[
    (&["Content-Length: 5"], "hello"),
    (&["Content-Length: 0"], ""),
    (&["content-length: 5"], "hello"),
    (&["Content-Length: 5", "Content-Length: 5"], "hello"),
    (&["Content-Length: 5", "Content-Length: 4"], "hello"),
    (&["Content-Length: 5, 5"], "hello"),
    (&["Content-Length: +5"], "hello"),
    (&["Content-Length: 05"], "hello"),
    (&["Content-Length: 5 "], "hello"),
    (&["Content-Length:  5"], "hello"),
    (&["Content-Length: 0x5"], "hello"),
    (&["Content-Length: -5"], "hello"),
    (&["Content-Length: 5.0"], "hello"),
    (&["Content-Length: "], ""),
    (&["Content-Length: five"], "hello"),
    (&["Content-Length: 99999999999999999999"], "hello"),
    (
        &["Content-Length: 5", "Transfer-Encoding: chunked"],
        "5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        &["Transfer-Encoding: chunked", "Content-Length: 15"],
        "5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        &["Content-Length: 0", "Transfer-Encoding: chunked"],
        "0\r\n\r\n",
    ),
    (&["Transfer-Encoding: Chunked"], "5\r\nhello\r\n0\r\n\r\n"),
    (&["Transfer-Encoding: CHUNKED"], "0\r\n\r\n"),
    (&["Transfer-Encoding:  chunked "], "5\r\nhello\r\n0\r\n\r\n"),
    (
        &["Transfer-Encoding: gzip, chunked"],
        "5\r\nhello\r\n0\r\n\r\n",
    ),
    (&["Transfer-Encoding: chunked, chunked"], "0\r\n\r\n"),
    (
        &["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        "0\r\n\r\n",
    ),
    (&["Transfer-Encoding: chunked, identity"], "0\r\n\r\n"),
    (&["Transfer-Encoding: identity"], ""),
    (
        &["Transfer-Encoding: identity", "Content-Length: 5"],
        "hello",
    ),
    (&["Transfer-Encoding: xchunked"], "0\r\n\r\n"),
    (&["Transfer-Encoding: chunked;q=1"], "0\r\n\r\n"),
    (&["Transfer-Encoding: "], ""),
    (&["Transfer-Encoding: ,chunked"], "0\r\n\r\n"),
    (
        &["Transfer-Encoding: chunked", "TE: trailers"],
        "0\r\nX-Sum: 1\r\n\r\n",
    ),
    (
        &["Transfer-Encoding: chunked", "Trailer: X-Sum"],
        "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    ),
    (
        &["Transfer-Encoding: chunked"],
        "3;ext=1\r\nabc\r\n0\r\n\r\n",
    ),
    (&["Transfer-Encoding: chunked"], "3 \r\nabc\r\n0\r\n\r\n"),
    (&["Transfer-Encoding: chunked"], "003\r\nabc\r\n000\r\n\r\n"),
    (
        &["Transfer-Encoding: chunked"],
        "A\r\n0123456789\r\n0\r\n\r\n",
    ),
    (&["Transfer-Encoding: chunked"], "0x3\r\nabc\r\n0\r\n\r\n"),
    (&["Transfer-Encoding: chunked"], "3\nabc\n0\n\n"),
    (&["Transfer-Encoding: chunked"], "3\r\nabcX\r\n0\r\n\r\n"),
    (&["Transfer-Encoding: chunked"], "-3\r\nabc\r\n0\r\n\r\n"),
    (
        &["Transfer-Encoding: chunked"],
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    ),
    (
        &["Transfer-Encoding: chunked"],
        "3;a=\"\n\"\r\nabc\r\n0\r\n\r\n",
    ),
    (&["Transfer-Encoding: chunked"], "0\r\n\r\n"),
    (&[], "hello\r\n\r\n"),
    (
        &["Content-Length: 3"],
        "GET /public/smuggled HTTP/1.1\r\nHost: app.localhost\r\n\r\n",
    ),
    (&["Expect: 100-continue", "Content-Length: 5"], "hello"),
    (&["Expect: other", "Content-Length: 5"], "hello"),
    (&["Expect: 100-continue"], ""),
];

/// Fields behind a body of HTTP/2.
pub(super) const TRAILERS: &[&[(&str, &str)]] = &[
    &[("x-sum", "1")],
    &[("cookie", "a=b"), ("x-forwarded-for", "1.2.3.4")],
    &[("content-length", "5")],
    &[("x-pomerium-jwt-assertion", "abc")],
    &[("transfer-encoding", "chunked")],
    &[(":path", "/public/x")],
];

const CONTENT_LENGTHS: &[&str] = &[
    "5",
    "0",
    "4",
    "+5",
    "05",
    "5, 5",
    "five",
    "",
    "99999999999999999999",
];

pub(super) fn change(dice: &mut Dice, request: &mut Request, protocol: Protocol) {
    if protocol == Protocol::Http1 {
        let (lines, body) = dice.pick(FRAMINGS);
        request.frame(lines, body.as_bytes());
        return;
    }
    request.frame(&[], if dice.once_in(2) { b"hello" } else { b"" });
    request.fields.retain(|(name, _)| name != "content-length");
    if dice.once_in(2) {
        request.add("content-length", dice.pick(CONTENT_LENGTHS));
    }
}
