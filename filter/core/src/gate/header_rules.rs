//! The header rules of a route, computed once when the configuration is read.

use crate::config::{HeaderRewrite, IdentitySettings, Route};
use crate::http::template::{Reference, Template};
use crate::session::assertion::ASSERTION_HEADER;

/// The header rules of one route. A request pays only for what its route asks for.
#[derive(Debug)]
pub(super) struct HeaderRules {
    /// Whether the upstream gets the assertion in a header of its own.
    pub(super) asserts: bool,
    /// The claim headers that the upstream gets: the name, and the position among all claim headers of the file.
    pub(super) claim_headers: Vec<(String, usize)>,
    /// Names of request headers that are removed.
    pub(super) remove: Vec<String>,
    /// Request headers that are set.
    pub(super) set: Vec<(String, HeaderValue)>,
    /// Whether any of these rules needs the assertion.
    pub(super) needs_assertion: bool,
    /// The rules for responses.
    pub(super) response: ResponseHeaderRules,
}

/// The value of a request header.
pub(super) enum HeaderValue {
    /// The same for every request.
    Fixed(Vec<u8>),
    /// Depends on the request.
    Template(Template),
}

/// The rules for responses. Values that come from the configuration are rewritten here, once.
#[derive(Debug)]
pub(super) struct ResponseHeaderRules {
    /// Headers that are set.
    pub(super) set: Vec<(String, String)>,
    /// Headers that are set when the response has none of that name.
    pub(super) defaults: Vec<(String, String)>,
    /// Rewrites by header; there are none for a header that is set anyway.
    pub(super) rewrites: Vec<(String, Vec<HeaderRewrite>)>,
}

impl HeaderRules {
    /// Computes the rules of a route.
    pub(super) fn of(route: &Route, identity: &IdentitySettings) -> Self {
        let headers = &route.request_headers;
        let is_removed = |name: &str| {
            headers.remove.iter().any(|other| other == name)
                && !headers.set.iter().any(|(other, _)| other == name)
        };
        let has_identity = route.pass_identity_headers;
        let asserts = has_identity && !is_removed(ASSERTION_HEADER);
        let claim_headers: Vec<(String, usize)> = identity
            .claim_headers
            .iter()
            .enumerate()
            .filter(|(_, (name, _))| has_identity && !is_removed(name))
            .map(|(place, (name, _))| (name.clone(), place))
            .collect();
        let set: Vec<(String, HeaderValue)> = headers
            .set
            .iter()
            .map(|(name, template)| (name.clone(), HeaderValue::of(template)))
            .collect();
        Self {
            needs_assertion: asserts || !claim_headers.is_empty() || refers_to_assertion(route),
            asserts,
            claim_headers,
            remove: headers.remove.clone(),
            set,
            response: ResponseHeaderRules::of(route),
        }
    }
}

/// Returns whether any upstream gets the user's identity.
pub(super) fn forwards_identity(routes: &[Route]) -> bool {
    routes
        .iter()
        .any(|route| route.pass_identity_headers || refers_to_assertion(route))
}

fn refers_to_assertion(route: &Route) -> bool {
    let mut references = route
        .request_headers
        .set
        .iter()
        .flat_map(|(_, template)| template.references());
    references.any(|reference| *reference == Reference::Jwt)
}

impl HeaderValue {
    fn of(template: &Template) -> Self {
        if template.references().next().is_some() {
            Self::Template(template.clone())
        } else {
            Self::Fixed(template.render(|_, _| {}))
        }
    }
}

impl std::fmt::Debug for HeaderValue {
    /// Hides a fixed value, which may be a password for the upstream.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(_) => f.write_str("Fixed(..)"),
            Self::Template(template) => template.fmt(f),
        }
    }
}

impl ResponseHeaderRules {
    fn of(route: &Route) -> Self {
        let headers = &route.response_headers;
        let rewritten = |(name, value): &(String, String)| {
            let rules = headers.rewrite.iter().filter(|rule| rule.header == *name);
            let value = match rewrite_value(rules, value.as_bytes()) {
                Some(rewritten) => String::from_utf8_lossy(&rewritten).into_owned(),
                None => value.clone(),
            };
            (name.clone(), value)
        };
        let mut rewrites: Vec<(String, Vec<HeaderRewrite>)> = Vec::new();
        for rule in &headers.rewrite {
            if headers.set.iter().any(|(name, _)| *name == rule.header) {
                continue;
            }
            match rewrites.iter_mut().find(|(name, _)| *name == rule.header) {
                Some((_, rules)) => rules.push(rule.clone()),
                None => rewrites.push((rule.header.clone(), vec![rule.clone()])),
            }
        }
        Self {
            set: headers.set.iter().map(rewritten).collect(),
            defaults: headers
                .defaults
                .iter()
                .filter(|(name, _)| !headers.set.iter().any(|(other, _)| other == name))
                .map(rewritten)
                .collect(),
            rewrites,
        }
    }
}

/// Applies every rule to a value, one after the other. Returns `None` when no rule applies.
pub(super) fn rewrite_value<'r>(
    rules: impl IntoIterator<Item = &'r HeaderRewrite>,
    value: &[u8],
) -> Option<Vec<u8>> {
    let mut rewritten: Option<Vec<u8>> = None;
    for rule in rules {
        let current = rewritten.as_deref().unwrap_or(value);
        if let Some(rest) = current.strip_prefix(rule.prefix.as_bytes()) {
            rewritten = Some([rule.value.as_bytes(), rest].concat());
        }
    }
    rewritten.map(crate::http::header::clean)
}
