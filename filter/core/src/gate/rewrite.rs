//! Rewrites the path and the host of a request, and builds the address of a redirect.

use std::borrow::Cow;

use crate::config::{
    HostHeader, PathMatch, PathRewrite, Redirect, RedirectPath, Route, Substitution,
};
use crate::http::path::{is_sendable, split_query};
use crate::http::request::{Authority, Parsed};
use crate::refusal::{BadRequest, Refusal};

/// The longest path that a pattern is applied to. For some patterns the time for replacing every match grows with the
/// square of the length. Real paths are far shorter; longer ones are refused on routes that rewrite by a pattern.
const MAX_MATCHED: usize = 4096;

/// Returns the path and query that the upstream of `route` sees. `target` are those of the request in canonical form.
///
/// # Errors
/// [`BadRequest::Rewrite`] when the result must not be sent.
pub fn upstream_target<'t>(route: &Route, target: &'t str) -> Result<Cow<'t, str>, Refusal> {
    let (path, query) = split_query(target);
    let path = match &route.rewrite {
        None => return Ok(Cow::Borrowed(target)),
        Some(PathRewrite::Prefix(replacement)) => replace_matched(route, path, replacement),
        Some(PathRewrite::Regex(substitution)) => substitute(substitution, path)?,
    };
    check_sendable(append_query(collapse_slashes(path), query))
}

/// Returns the `Host` that `route` writes for a request of `path`; `None` when it writes none and the upstream sees its own
/// host or the public one ([`HostHeader`]).
///
/// `header` reads a header as the upstream will see it.
///
/// # Errors
/// [`BadRequest::Host`] when the client's value is not a host, and [`BadRequest::Rewrite`] for a path that is too long for
/// a pattern.
pub fn upstream_host(
    route: &Route,
    path: &str,
    header: impl FnOnce(&str) -> Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, Refusal> {
    let host = match &route.host {
        HostHeader::Upstream | HostHeader::Preserve => return Ok(None),
        HostHeader::Literal(host) => return Ok(Some(host.clone().into_bytes())),
        // As in Envoy, no header and an empty one leave the host alone.
        HostHeader::Header(name) => match header(name).filter(|host| !host.is_empty()) {
            Some(host) => host,
            None => return Ok(None),
        },
        HostHeader::PathRegex(substitution) => substitute(substitution, path)?.into_bytes(),
    };
    // The value came from the client.
    match Authority::read(&host) {
        Some(_) => Ok(Some(host)),
        None => Err(Refusal::BadRequest(BadRequest::Host)),
    }
}

/// Builds the address to which `redirect` sends a request.
pub(super) fn redirect_location(
    request: &Parsed<'_>,
    route: &Route,
    redirect: &Redirect,
) -> Result<String, Refusal> {
    let scheme = redirect.scheme.as_deref().unwrap_or("https");
    let authority = redirect_authority(request, redirect, scheme);
    let complete = |path: String| {
        if redirect.strip_query {
            path
        } else {
            append_query(path, split_query(&request.target).1)
        }
    };
    let target = match &redirect.path {
        RedirectPath::Keep => complete(request.path().to_owned()),
        // A query in the configuration replaces the client's, and is never dropped.
        RedirectPath::Replace(path) if path.contains('?') => path.clone(),
        RedirectPath::Replace(path) => complete(path.clone()),
        RedirectPath::Prefix(replacement) => {
            let path = collapse_slashes(replace_matched(route, request.path(), replacement));
            check_sendable(complete(path))?.into_owned()
        }
    };
    // The path must not become a part of the host.
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok(format!("{scheme}://{authority}{slash}{target}"))
}

/// Returns host and port of a redirect; the scheme's default port is left out.
fn redirect_authority(request: &Parsed<'_>, redirect: &Redirect, scheme: &str) -> String {
    let default = match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    let (host, port) = match &redirect.host {
        // The request's port belongs to the request's host and scheme.
        Some(host) => match Authority::read(host.as_bytes()) {
            Some(named) => (named.host.into_owned(), redirect.port.or(named.port)),
            None => (host.clone(), redirect.port),
        },
        None => {
            let asked = request.authority.port.filter(|&port| port != 443);
            (request.authority.host.to_string(), redirect.port.or(asked))
        }
    };
    match port.filter(|&port| Some(port) != default) {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

/// Replaces the part of the path that the route matched.
fn replace_matched(route: &Route, path: &str, replacement: &str) -> String {
    let matched = match &route.path {
        PathMatch::Any => "/",
        PathMatch::Exact(matched) | PathMatch::Prefix(matched) => matched,
        // A pattern matches the path as a whole.
        PathMatch::Regex(_) => path,
    };
    let rest = path.strip_prefix(matched).unwrap_or_default();
    format!("{replacement}{rest}")
}

/// Replaces every match in the path.
fn substitute(substitution: &Substitution, path: &str) -> Result<String, Refusal> {
    if path.len() > MAX_MATCHED {
        return Err(Refusal::BadRequest(BadRequest::Rewrite));
    }
    let replaced = substitution
        .pattern
        .replace_all(path, substitution.replacement.as_str());
    Ok(replaced.into_owned())
}

/// Reduces the slashes at the beginning of the path to one: two would introduce a host (RFC 3986 section 4.2), and
/// `prefix: /a` with `prefix_rewrite: /` makes two.
fn collapse_slashes(path: String) -> String {
    let rest = path.trim_start_matches('/');
    if path.len() - rest.len() < 2 {
        return path;
    }
    format!("/{rest}")
}

fn append_query(mut path: String, query: Option<&str>) -> String {
    if let Some(query) = query {
        path.push('?');
        path.push_str(query);
    }
    path
}

fn check_sendable<'a>(target: String) -> Result<Cow<'a, str>, Refusal> {
    if is_sendable(&target) {
        Ok(Cow::Owned(target))
    } else {
        Err(Refusal::BadRequest(BadRequest::Rewrite))
    }
}
