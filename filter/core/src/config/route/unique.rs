//! Which routes are one and the same, and which can never be used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::target::ReadTarget;
use super::{From, PathMatch, Redirect, RedirectPath, Route, Target};
use crate::diagnostics::{Findings, KeyPath};
use crate::digest;
use crate::hex::encode_hex;

/// Sixteen hexadecimal digits of what the route matches and where it leads. How it is reached (TLS, timeouts, headers) and
/// who may use it can change without a new id.
pub(super) fn identify(from: &From, path: &PathMatch, read: &ReadTarget) -> String {
    // Texts are quoted, so that no two different routes give one text.
    let mut text = matched(from, path);
    let written = match &read.target {
        Target::Upstreams(upstreams) => upstreams.endpoints.iter().try_for_each(|endpoint| {
            write!(
                text,
                " to {:?} {}",
                endpoint.origin.to_string(),
                endpoint.weight
            )
        }),
        Target::Redirect(redirect) => write_redirect(&mut text, redirect),
        Target::Response(response) => {
            write!(text, " response {} {:?}", response.status, response.body)
        }
    };
    debug_assert!(written.is_ok(), "a String takes every text");
    if let Some(path) = &read.path {
        text.push_str(" at ");
        text.push_str(path);
    }
    encode_hex(&digest::hash::<8>(text.as_bytes()))
}

fn write_redirect(text: &mut String, redirect: &Redirect) -> std::fmt::Result {
    let path = match &redirect.path {
        RedirectPath::Keep => "keep".to_owned(),
        RedirectPath::Replace(path) => format!("replace {path:?}"),
        RedirectPath::Prefix(path) => format!("prefix {path:?}"),
    };
    write!(
        text,
        " redirect {:?} {:?} {:?} {path} {} {}",
        redirect.scheme, redirect.host, redirect.port, redirect.status, redirect.strip_query
    )
}

/// What a route matches, as a text.
fn matched(from: &From, path: &PathMatch) -> String {
    let (host, port) = (&from.host, from.port);
    match path {
        PathMatch::Any => format!("{host:?} {port:?} any"),
        PathMatch::Exact(path) => format!("{host:?} {port:?} path {path:?}"),
        PathMatch::Prefix(prefix) => format!("{host:?} {port:?} prefix {prefix:?}"),
        PathMatch::Regex(pattern) => format!("{host:?} {port:?} regex {:?}", pattern.as_str()),
    }
}

/// The routes that have been read so far.
#[derive(Debug, Default)]
pub(in crate::config) struct Known {
    ids: BTreeSet<String>,
    /// What each matches, with its name.
    matched: BTreeMap<String, String>,
    /// Hosts and ports of which one route takes every path, with its name.
    whole: BTreeMap<(String, Option<u16>), String>,
    /// Hosts with a Cockpit, with where that is and the name of the route.
    cockpits: BTreeMap<String, (Vec<(String, u16)>, String)>,
}

impl Known {
    /// Adds a route that comes after those known: a problem if one of them is the same, a warning if they leave it nothing.
    pub(in crate::config) fn add(
        &mut self,
        route: &Route,
        key_path: &KeyPath,
        findings: &mut Findings,
    ) {
        let matched = matched(&route.from, &route.path);
        if !self.ids.insert(route.id.clone()) {
            findings
                .problem(
                    key_path,
                    format!(
                        "a second route from `{}` to the same place",
                        route.from.authority()
                    ),
                )
                .help("join their policies in one route");
        } else if let Some(name) = self.taken(route, &matched) {
            findings
                .warning(
                    key_path,
                    format!("never used: the route `{name}` before it takes all of its requests"),
                )
                .help("put the narrower route first");
        }
        self.add_cockpit(route, key_path, findings);
        let name = &route.name;
        if route.path == PathMatch::Any {
            let key = (route.from.host.clone(), route.from.port);
            self.whole.entry(key).or_insert_with(|| name.clone());
        }
        self.matched.entry(matched).or_insert_with(|| name.clone());
    }

    /// Cookies and assertions are for a host: two Cockpits of one host would get each other's.
    fn add_cockpit(&mut self, route: &Route, key_path: &KeyPath, findings: &mut Findings) {
        if route.cockpit.is_none() {
            return;
        }
        let here = route.places();
        let host = route.from.host.clone();
        let known = self.cockpits.entry(host);
        let (there, name) = known.or_insert_with(|| (here.clone(), route.name.clone()));
        if *there != here {
            findings
                .problem(
                    key_path,
                    format!(
                        "the route `{name}` has the same host and leads to another Cockpit: each would get the other's logins"
                    ),
                )
                .help("give each Cockpit a host of its own");
        }
    }

    /// The name of an earlier route that takes every request of this one.
    fn taken(&self, route: &Route, matched: &str) -> Option<&String> {
        let host = &route.from.host;
        self.matched
            .get(matched)
            .or_else(|| self.whole.get(&(host.clone(), None)))
            .or_else(|| self.whole.get(&(host.clone(), route.from.port)))
    }
}
