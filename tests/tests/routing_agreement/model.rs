//! Which route a request has to take, said again in the simplest way.

use crate::request::Request;
use crate::table::{Access, Entry, HostHeader, LITERAL_HOST, Paths, REGEXES};

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer without any upstream.
    Answer { status: u16 },
    /// What an upstream answers.
    Upstream {
        route: String,
        upstream: usize,
        target: String,
        host: String,
    },
}

/// The outcome, and the route that decides.
pub(crate) fn outcome<'e>(
    entries: &'e [Entry],
    request: &Request,
    authorities: &[String],
) -> (Outcome, Option<&'e Entry>) {
    let answer = |status| Outcome::Answer { status };
    // Another spelling of the same name to DNS: refused rather than taken for another host.
    if request.host.ends_with('.') {
        return (answer(400), None);
    }
    let Some(path) = request.path.as_deref() else {
        return (answer(400), None);
    };
    let chosen = choose(entries, &request.host, request.port, path);
    // Some servers leave out what follows a `;`: refused where that leads elsewhere.
    let also = choose(
        entries,
        &request.host,
        request.port,
        &without_parameters(path),
    );
    if chosen.map(|entry| &entry.name) != also.map(|entry| &entry.name) {
        return (answer(400), None);
    }
    let Some(entry) = chosen else {
        return (answer(404), None);
    };
    let outcome = match entry.access {
        Access::Refused => answer(403),
        Access::SignIn => answer(401),
        Access::Public => Outcome::Upstream {
            route: entry.name.clone(),
            upstream: entry.upstream,
            target: format!("{}{}", rewritten(entry, path), request.query),
            host: match entry.host_header {
                HostHeader::Upstream => authorities[entry.upstream].clone(),
                HostHeader::Preserve => request.authority.clone(),
                HostHeader::Literal => LITERAL_HOST.to_owned(),
            },
        },
    };
    (outcome, Some(entry))
}

/// A path as servers read it that leave out what follows a `;` in a segment.
fn without_parameters(path: &str) -> String {
    let segments = path
        .split('/')
        .map(|segment| match segment.split_once(';') {
            Some((name, _)) => name,
            None => segment,
        });
    segments.collect::<Vec<_>>().join("/")
}

/// The first route in the file for port and path, among those that name the host if there is any, whatever their port,
/// or else among those with a wildcard.
fn choose<'e>(entries: &'e [Entry], host: &str, port: u16, path: &str) -> Option<&'e Entry> {
    let named = entries.iter().any(|entry| entry.host == host);
    entries
        .iter()
        .filter(|entry| (entry.host == host) == named && wild(&entry.host, host))
        .filter(|entry| entry.port.is_none_or(|own| own == port))
        .find(|entry| serves(entry.paths, path))
}

/// Whether a host is meant by a name in which each `*` stands for any text.
fn wild(name: &str, host: &str) -> bool {
    match name.split_once('*') {
        None => name == host,
        Some((before, after)) => host
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).any(|place| wild(after, &rest[place..]))),
    }
}

fn serves(paths: Paths, path: &str) -> bool {
    match paths {
        Paths::Any => true,
        Paths::Prefix(prefix) => path.starts_with(prefix),
        Paths::Exact(exact) => path == exact,
        Paths::Regex(regex, _) => REGEXES[regex].1(path),
    }
}

fn rewritten(entry: &Entry, path: &str) -> String {
    let matched = match entry.paths {
        Paths::Prefix(matched) | Paths::Exact(matched) => matched,
        Paths::Any | Paths::Regex(..) => return path.to_owned(),
    };
    match entry.rewrite {
        Some(rewrite) => {
            let path = format!("{rewrite}{}", &path[matched.len()..]);
            format!("/{}", path.trim_start_matches('/'))
        }
        None => path.to_owned(),
    }
}
