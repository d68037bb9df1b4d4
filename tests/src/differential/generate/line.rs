//! Methods, authorities, and lines that are not quite HTTP/1.1.

use super::super::request::Request;
use crate::{APP, Dice};

const METHODS: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "TRACE", "CONNECT",
    "PROPFIND", "MKCOL", "LINK", "PURGE", "FOO", "get", "Get", "PRI", "M-SEARCH", "G!", "ACL",
    "REPORT", "BREW", "A1", "X_Y", "G:T", "SEARCH", "G\u{e9}T", "",
];

pub(super) fn change_method(dice: &mut Dice, request: &mut Request) {
    dice.pick(METHODS).clone_into(&mut request.method);
    if request.method == "QUERY" && dice.once_in(2) {
        request.add("Content-Type", "application/sql");
    }
}

pub(super) fn change_authority(dice: &mut Dice, request: &mut Request, public: u16) {
    let authority = match dice.below(24) {
        0 => APP.to_owned(),
        1 => format!("{APP}:443"),
        2 => format!("{}:{public}", APP.to_uppercase()),
        3 => format!("{APP}.:{public}"),
        4 => format!("user@{APP}:{public}"),
        5 => format!("127.0.0.1:{public}"),
        6 => "127.0.0.1".to_owned(),
        7 => format!("[::1]:{public}"),
        8 => "unknown.localhost".to_owned(),
        9 => format!("unknown.localhost:{public}"),
        10 => String::new(),
        11 => format!("{APP}:0{public}"),
        12 => format!("{APP}:99999"),
        13 => format!("{APP}:"),
        14 => format!("{APP}:{public}/x"),
        15 => format!("{APP} :{public}"),
        16 => format!("a_b.localhost:{public}"),
        17 => format!("{APP}:{public}, other.localhost"),
        18 => format!("%61pp.localhost:{public}"),
        19 => format!("\u{e9}.localhost:{public}"),
        20 => "localhost".to_owned(),
        21 => format!("{APP}:8443"),
        22 => format!("two.wild.localhost:{public}"),
        _ => {
            request.authority = None;
            return;
        }
    };
    request.authority = Some(authority);
}

/// Lines that recipients read in different ways (RFC 9112 sections 2.2, 3, 5).
const LINES: &[&str] = &[
    "X-Any : 1",
    "X-Any\t: 1",
    " X-Any: 1",
    "no colon",
    ": no name",
    "X-Any:1",
    "X-Any:",
    "X-Any: \t 1 \t ",
    "X-Any: a\u{0}b",
    "X-Any: a\rb",
    "X-Any: a\u{7f}b",
    "X-Any: caf\u{e9}",
    "X Any: 1",
    "X-\u{e9}: 1",
    "X-Any: 1\r\n folded",
    "X-Any: 1\r\n\tfolded",
    "X(Any): 1",
    "\"X\": 1",
    "X_Any: 1",
    "X-Any: 1\n X-Other: 2",
    "X-Any: a\u{1}b",
    "Host: other.localhost",
    "host: app.localhost",
    "Host : app.localhost",
    "X!#$%&'*+-.^`|~: 1",
];

const VERSIONS: &[&str] = &[
    "HTTP/1.0",
    "HTTP/1.0",
    "HTTP/1.2",
    "HTTP/2.0",
    "HTTP/3",
    "http/1.1",
    "HTTP/1.1 ",
    "HTTP/0.9",
    "",
    "HTTP/01.1",
    "HTTP/1.10",
    "HTTPS/1.1",
    "X HTTP/1.1",
];

pub(super) fn change_lines(dice: &mut Dice, request: &mut Request) {
    match dice.below(8) {
        0 | 1 => request.version = dice.pick(VERSIONS),
        2 => request.line_end = "\n",
        3 => request.leading = dice.pick(&["\r\n", "\r\n\r\n", "\n", " ", "\t", "\u{0}"]),
        4 => request.method.push(' '),
        _ => {
            let line = super::super::request::latin1(dice.pick(LINES));
            request.lines.push(line);
        }
    }
}
