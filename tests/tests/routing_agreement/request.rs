//! Random requests whose meaning is known because they were made from it.

use jetway_tests::Dice;

use crate::table::PORTS;

/// A request and its meaning.
#[derive(Debug)]
pub(crate) struct Request {
    /// `Host` as it is sent.
    pub(crate) authority: String,
    /// Path and query as they are sent.
    pub(crate) target: String,
    /// The intended host, in lower case.
    pub(crate) host: String,
    /// The intended port.
    pub(crate) port: u16,
    /// The path in its plain form; `None` when servers would disagree about it.
    pub(crate) path: Option<String>,
    /// The query with its `?`.
    pub(crate) query: &'static str,
    /// Whether the request is spelled plainly, as a user would.
    pub(crate) plain: bool,
}

const HOSTS: [&str; 16] = [
    "app", "app", "app", "x-1", "x-2", "x-", "b.a", "c.a", "c.b.a", "a", "xa", "lap", "b.x",
    "abcde", "ace", "b",
];

const SEGMENTS: [&str; 19] = [
    "a",
    "a",
    "b",
    "b",
    "ab",
    "x.y",
    "p%20q",
    "a;v=1",
    "a%3Bv=1",
    "42",
    "7",
    "...",
    ".a",
    "%C3%A9",
    "new",
    "a:b",
    "a:b",
    "c+d@",
    "%5B%7C%5D",
];

const QUERIES: [&str; 6] = ["", "", "", "?", "?x=1", "?next=/../a%2fb;c"];

/// Paths that servers read in different ways.
const DISPUTED: [&str; 8] = [
    "/a%2fb",
    "/a%5Cb",
    "/a/..;/b",
    "/a/.;v=1/b",
    "/a%00",
    "/%zz",
    "/a%",
    "/%ff",
];

/// Returns a request for a host of this table.
pub(crate) fn request(dice: &mut Dice, table: usize, public: u16) -> Request {
    let host = format!("{}.t{table}.localhost", dice.pick(&HOSTS));
    let (host, authority, port) = authority(dice, host, public);
    let query = dice.pick(&QUERIES);
    let (path, sent, plain) = if dice.once_in(12) {
        (None, dice.pick(&DISPUTED).to_owned(), false)
    } else {
        let segments = segments(dice);
        let path = format!("/{}", segments.join("/"));
        let disguised = dice.once_in(2);
        let sent = if disguised {
            disguise(dice, &segments)
        } else {
            path.clone()
        };
        (Some(path), sent, !disguised)
    };
    Request {
        plain: plain && authority.bytes().all(|byte| !byte.is_ascii_uppercase()),
        authority,
        target: format!("{sent}{query}"),
        host,
        port,
        path,
        query,
    }
}

/// Returns the intended host, `Host` as it is sent, and the intended port.
fn authority(dice: &mut Dice, host: String, public: u16) -> (String, String, u16) {
    let written = if dice.once_in(4) {
        let changed = |(place, letter): (usize, char)| {
            if place % 2 == 0 {
                letter.to_ascii_uppercase()
            } else {
                letter
            }
        };
        host.chars().enumerate().map(changed).collect()
    } else {
        host.clone()
    };
    match dice.below(6) {
        0 => (host, written, 443),
        1 => (host, format!("{written}:443"), 443),
        2 | 3 => {
            let port = dice.pick(&PORTS);
            (host, format!("{written}:{port}"), port)
        }
        // Another name, which no route has, however it ends.
        4 if dice.once_in(4) => {
            let end = dice.pick(&[".", ".evil.example"]);
            (format!("{host}{end}"), format!("{written}{end}"), 443)
        }
        _ => (host, format!("{written}:{public}"), public),
    }
}

/// Returns segments of a path, the last of which may be empty.
fn segments(dice: &mut Dice) -> Vec<&'static str> {
    let mut segments: Vec<&str> = (0..dice.below(4)).map(|_| dice.pick(&SEGMENTS)).collect();
    if segments.is_empty() || dice.once_in(5) {
        segments.push("");
    }
    segments
}

/// Returns the same path in another spelling.
fn disguise(dice: &mut Dice, segments: &[&str]) -> String {
    let mut sent = String::new();
    for segment in segments {
        match dice.below(10) {
            0 => sent.push_str("/."),
            1 => sent.push_str("/zz/.."),
            2 => sent.push_str("/zz/%2e%2E"),
            3 => sent.push('/'),
            4 => sent.push_str("/%2e"),
            5 => sent.push_str("/zz/yy/../.."),
            _ => {}
        }
        // The first character of a target has to be a slash.
        sent.push(if !sent.is_empty() && dice.once_in(8) {
            '\\'
        } else {
            '/'
        });
        for letter in segment.chars() {
            let free = (letter.is_ascii_alphanumeric() || ":+@=".contains(letter))
                && !segment.contains('%');
            match dice.below(6) {
                0 if free => sent.push_str(&format!("%{:02x}", u32::from(letter))),
                1 if free => sent.push_str(&format!("%{:02X}", u32::from(letter))),
                _ => sent.push(letter),
            }
        }
    }
    if dice.once_in(3) {
        sent = sent.replace("%C3%A9", "%c3%a9");
        sent = sent.replace("%3B", "%3b");
        sent = sent.replace("%5B%7C%5D", "[%7c]");
    }
    sent
}
