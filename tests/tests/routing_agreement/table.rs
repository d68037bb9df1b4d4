//! Random route tables with few names and paths, so that routes overlap.

use std::fmt::Write as _;

use jetway_tests::{Dice, Route, Upstream};

/// One route of the file.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// In lower case, possibly with `*`.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) paths: Paths,
    pub(crate) access: Access,
    /// `prefix_rewrite`.
    pub(crate) rewrite: Option<&'static str>,
    pub(crate) host_header: HostHeader,
    /// Place of its upstream.
    pub(crate) upstream: usize,
}

/// The paths of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paths {
    Any,
    Prefix(&'static str),
    Exact(&'static str),
    /// Index in [`REGEXES`]; possibly with a prefix, which is ignored then.
    Regex(usize, Option<&'static str>),
}

impl Paths {
    /// The same without another way to say it.
    fn plain(self) -> Self {
        match self {
            Self::Prefix("/") => Self::Any,
            Self::Regex(regex, _) => Self::Regex(regex, None),
            other => other,
        }
    }
}

/// The requests that pass without a sign-in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    Public,
    Refused,
    SignIn,
}

/// The `Host` for the upstream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HostHeader {
    Upstream,
    Preserve,
    Literal,
}

/// `host_rewrite` of routes that have one.
pub(crate) const LITERAL_HOST: &str = "literal.example.com";

/// A regular expression and the same in code.
pub(crate) type Regex = (&'static str, fn(&str) -> bool);

/// The regular expressions of routes; each has to match a whole path.
pub(crate) const REGEXES: [Regex; 6] = [
    ("/[ab]+", |path| {
        let rest = &path[1..];
        !rest.is_empty() && rest.bytes().all(|byte| matches!(byte, b'a' | b'b'))
    }),
    ("/a/.*", |path| path.starts_with("/a/")),
    ("/.*/x\\.y", |path| {
        path.strip_suffix("/x.y")
            .is_some_and(|rest| rest.starts_with('/'))
    }),
    ("/(a|b)/[0-9]{2}", |path| {
        let rest = path
            .strip_prefix("/a/")
            .or_else(|| path.strip_prefix("/b/"));
        rest.is_some_and(|rest| rest.len() == 2 && rest.bytes().all(|byte| byte.is_ascii_digit()))
    }),
    // Every alternative has to match the whole path, even beside an anchor.
    ("/a|/b/.*", |path| path == "/a" || path.starts_with("/b/")),
    (".*", |_| true),
];

/// Values of `prefix` and `path`.
const PREFIXES: [&str; 9] = [
    "/", "/a", "/a/", "/a/b", "/b", "/ab", "/p%20q", "/a:b", "/c+d@",
];
const EXACT: [&str; 7] = ["/", "/a", "/a/", "/a/b", "/ab", "/b/x.y", "/a:b"];

/// Ports of `from`.
pub(crate) const PORTS: [u16; 2] = [8443, 444];

/// Returns routes below a name of their own, so that one file has many tables. No two are for exactly the same
/// requests.
pub(crate) fn table(dice: &mut Dice, number: usize, upstreams: usize) -> Vec<Entry> {
    let count = 8 + dice.below(8);
    let mut entries: Vec<Entry> = Vec::new();
    while entries.len() < count {
        let next = entry(dice, number, entries.len(), upstreams);
        let known = entries.iter().any(|entry| {
            (&entry.host, entry.port, entry.paths.plain())
                == (&next.host, next.port, next.paths.plain())
        });
        if !known {
            entries.push(next);
        }
    }
    entries
}

fn entry(dice: &mut Dice, table: usize, place: usize, upstreams: usize) -> Entry {
    let host = dice.pick(&[
        "app", "app", "app", "x-1", "b.a", "*", "*", "*.a", "x-*", "*p", "b.*", "a*c*e",
    ]);
    let paths = match dice.below(8) {
        0 => Paths::Any,
        1..=4 => Paths::Prefix(dice.pick(&PREFIXES)),
        5 => Paths::Exact(dice.pick(&EXACT)),
        _ => {
            let ignored = dice.once_in(2).then(|| dice.pick(&PREFIXES));
            Paths::Regex(dice.below(REGEXES.len()), ignored)
        }
    };
    let rewrite = match paths {
        Paths::Prefix(matched) | Paths::Exact(matched) if dice.once_in(3) => {
            Some(if matched.ends_with('/') {
                dice.pick(&["/", "/new/"])
            } else {
                dice.pick(&["/new", "/b"])
            })
        }
        _ => None,
    };
    Entry {
        name: format!("t{table}-r{place}"),
        host: format!("{host}.t{table}.localhost"),
        port: dice.once_in(4).then(|| dice.pick(&PORTS)),
        paths,
        access: dice.pick(&[
            Access::Public,
            Access::Public,
            Access::Refused,
            Access::SignIn,
        ]),
        rewrite,
        host_header: dice.pick(&[
            HostHeader::Upstream,
            HostHeader::Preserve,
            HostHeader::Literal,
        ]),
        upstream: dice.below(upstreams),
    }
}

impl Entry {
    /// Writes the route for the file.
    pub(crate) fn route(&self, upstreams: &[Upstream]) -> Route {
        let route = Route::new(&self.host, &upstreams[self.upstream].address());
        let route = match self.port {
            Some(port) => route.at_port(port),
            None => route.at_any_port(),
        };
        let route = match self.access {
            Access::Public => route.public(),
            Access::Refused => route.policy("- allow: {or: [reject: true]}"),
            Access::SignIn => route.policy("- allow: {or: [authenticated_user: true]}"),
        };
        route.key(&self.keys())
    }

    fn keys(&self) -> String {
        let mut keys = format!(
            "name: {}\nset_response_headers: {{X-Route: {}}}\n",
            self.name, self.name
        );
        let prefix = match self.paths {
            Paths::Prefix(prefix) | Paths::Regex(_, Some(prefix)) => Some(prefix),
            Paths::Any | Paths::Exact(_) | Paths::Regex(_, None) => None,
        };
        let lines = [
            prefix.map(|prefix| format!("prefix: '{prefix}'")),
            match self.paths {
                Paths::Exact(path) => Some(format!("path: '{path}'")),
                Paths::Regex(regex, _) => Some(format!("regex: '{}'", REGEXES[regex].0)),
                Paths::Any | Paths::Prefix(_) => None,
            },
            self.rewrite
                .map(|rewrite| format!("prefix_rewrite: '{rewrite}'")),
            match self.host_header {
                HostHeader::Upstream => None,
                HostHeader::Preserve => Some("preserve_host_header: true".to_owned()),
                HostHeader::Literal => Some(format!("host_rewrite: {LITERAL_HOST}")),
            },
        ];
        for line in lines.into_iter().flatten() {
            // A string can always be written to memory.
            let _ = writeln!(keys, "{line}");
        }
        keys
    }
}
