//! A model of routing in its simplest form.

use crate::request::Request;
use crate::table::{Access, Entry, HostHeader, LITERAL_HOST, Paths, REGEXES};

/// The outcome of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A response without any upstream.
    Answer { status: u16 },
    /// An upstream's response.
    Upstream {
        route: String,
        upstream: usize,
        target: String,
        host: String,
    },
}

/// The addresses of the listener and of the upstreams.
pub(crate) struct Place<'a> {
    /// The port of the listener.
    pub(crate) listening: u16,
    /// The authorities of the upstreams.
    pub(crate) authorities: &'a [String],
}

/// Returns the outcome, and the route that decides.
pub(crate) fn outcome<'e>(
    entries: &'e [Entry],
    request: &Request,
    place: &Place<'_>,
) -> (Outcome, Option<&'e Entry>) {
    let answer = |status| Outcome::Answer { status };
    // Another spelling of the same DNS name: refused rather than treated as another host.
    if request.host.ends_with('.') {
        return (answer(400), None);
    }
    let Some(path) = request.path.as_deref() else {
        return (answer(400), None);
    };
    // Servers that look for parameters before they decode would read a third path.
    if path.contains(';') && path.contains("%3B") {
        return (answer(400), None);
    }
    let chosen = choose(entries, request, path, place.listening);
    // Some servers ignore the part after a `;`: refused if that path has another outcome.
    let also = choose(entries, request, &without_parameters(path), place.listening);
    if chosen.map(|entry| &entry.name) != also.map(|entry| &entry.name) {
        return (answer(400), None);
    }
    let entry = match chosen {
        Ok(entry) => entry,
        Err(status) => return (answer(status), None),
    };
    let outcome = match entry.access {
        Access::Refused => answer(403),
        Access::SignIn => answer(401),
        Access::Public => Outcome::Upstream {
            route: entry.name.clone(),
            upstream: entry.upstream,
            target: format!("{}{}", rewritten(entry, path), request.query),
            host: match entry.host_header {
                HostHeader::Upstream => place.authorities[entry.upstream].clone(),
                HostHeader::Preserve => request.authority.clone(),
                HostHeader::Literal => LITERAL_HOST.to_owned(),
            },
        },
    };
    (outcome, Some(entry))
}

/// Returns a path as servers read it that ignore the part after a `;` in a segment, before or after they decode it.
fn without_parameters(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        let name = segment.split(';').next().unwrap_or_default();
        name.split("%3B").next().unwrap_or_default()
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Returns the first route in the file for port and path, among those that name the host if there is any, whatever
/// their port, or else among those with a wildcard; or the status without a route.
fn choose<'e>(
    entries: &'e [Entry],
    request: &Request,
    path: &str,
    listening: u16,
) -> Result<&'e Entry, u16> {
    let (host, port) = (request.host.as_str(), request.port);
    let named = entries.iter().any(|entry| entry.host == host);
    let of_host: Vec<_> = entries
        .iter()
        .filter(|entry| (entry.host == host) == named && wild(&entry.host, host))
        .collect();
    let of_port = of_host.iter().filter(|entry| match entry.port {
        Some(own) => own == port,
        None => port == 443 || port == listening,
    });
    let mut of_port = of_port.copied().peekable();
    if of_port.peek().is_none() && !of_host.is_empty() {
        return Err(421);
    }
    of_port.find(|entry| serves(entry.paths, path)).ok_or(404)
}

/// Returns whether a host matches a name in which each `*` stands for any string.
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
