//! Finds routes that are the same, and routes that can never match.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::target::ReadTarget;
use super::{From, PathMatch, Redirect, RedirectPath, Route, Target};
use crate::diagnostics::{Findings, KeyPath};
use crate::digest;
use crate::hex::encode_hex;

/// Returns sixteen hexadecimal digits derived from what the route matches and from its target. The connection (TLS,
/// timeouts, headers) and the policy can change without a new id.
pub(super) fn identify(from: &From, path: &PathMatch, read: &ReadTarget) -> String {
    // Strings are quoted, so that different routes give different descriptions.
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
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
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

/// Describes what a route matches.
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
    /// The requests that each route matches, with the name of the route.
    matched: BTreeMap<String, String>,
    /// The hosts and ports of which one route matches every path, with its name.
    whole: BTreeMap<(String, Option<u16>), String>,
    /// The hosts with a Cockpit, with its upstreams and the name of the route.
    cockpits: BTreeMap<String, (Vec<(String, u16)>, String)>,
}

impl Known {
    /// Adds the next route. Reports a problem if an earlier route matches the same, and a warning if earlier routes match all
    /// of its requests.
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
                        "duplicate route: an earlier one from `{}` has the same target",
                        route.from.authority()
                    ),
                )
                .help("combine their policies in one route");
        } else if let Some(name) = self.taken(route, &matched) {
            findings
                .warning(
                    key_path,
                    format!("never used: the earlier route `{name}` matches all of its requests"),
                )
                .help("put the more specific route first");
        }
        self.add_cockpit(route, key_path, findings);
        let name = &route.name;
        if route.path == PathMatch::Any {
            let key = (route.from.host.clone(), route.from.port);
            self.whole.entry(key).or_insert_with(|| name.clone());
        }
        self.matched.entry(matched).or_insert_with(|| name.clone());
    }

    /// Reports two Cockpits on one host: cookies and assertions are valid for a host, so that each would get the other's.
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
                        "the route `{name}` has the same host and another Cockpit: each would get the other's logins"
                    ),
                )
                .help("use a separate host for each Cockpit");
        }
    }

    /// Returns the name of an earlier route that matches every request of this one.
    fn taken(&self, route: &Route, matched: &str) -> Option<&String> {
        let host = &route.from.host;
        self.matched
            .get(matched)
            .or_else(|| self.whole.get(&(host.clone(), None)))
            .or_else(|| self.whole.get(&(host.clone(), route.from.port)))
    }
}
