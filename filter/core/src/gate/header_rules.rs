//! What is done to a route's requests and answers, worked out when the file is read.

use crate::config::{Config, HeaderRewrite, IdentitySettings, Route};
use crate::http::template::{Reference, Template};
use crate::session::assertion::ASSERTION_HEADER;

/// The header work of one route. A request pays only for what its route asks for.
#[derive(Debug)]
pub(super) struct HeaderRules {
    /// Whether the upstream gets the assertion in a header of its own.
    pub(super) asserts: bool,
    /// Claim headers that the upstream gets: name, and place among all claim headers of the file.
    pub(super) claim_headers: Vec<(String, usize)>,
    /// Names of request headers that are removed.
    pub(super) remove: Vec<String>,
    /// Request headers that are set.
    pub(super) set: Vec<(String, Value)>,
    /// Whether anything of the above needs the assertion.
    pub(super) needs_assertion: bool,
    /// What is done to answers.
    pub(super) answer: ResponseHeaderRules,
}

/// The value of a request header.
pub(super) enum Value {
    /// The same for every request.
    Fixed(Vec<u8>),
    /// With something about the request in it.
    Template(Template),
}

/// The work on answers. Values that come from the file are rewritten here, once.
#[derive(Debug)]
pub(super) struct ResponseHeaderRules {
    /// Headers that are set.
    pub(super) set: Vec<(String, String)>,
    /// Headers that are set when the answer has none of the name.
    pub(super) defaults: Vec<(String, String)>,
    /// Rewrites, by header; none for a header that is set anyway.
    pub(super) rewrites: Vec<(String, Vec<HeaderRewrite>)>,
}

impl HeaderRules {
    pub(super) fn of(route: &Route, identity: &IdentitySettings) -> Self {
        let headers = &route.request_headers;
        let removed = |name: &str| {
            headers.remove.iter().any(|other| other == name)
                && !headers.set.iter().any(|(other, _)| other == name)
        };
        let told = route.pass_identity_headers;
        let asserts = told && !removed(ASSERTION_HEADER);
        let claim_headers: Vec<(String, usize)> = identity
            .claim_headers
            .iter()
            .enumerate()
            .filter(|(_, (name, _))| told && !removed(name))
            .map(|(place, (name, _))| (name.clone(), place))
            .collect();
        let set: Vec<(String, Value)> = headers
            .set
            .iter()
            .map(|(name, template)| (name.clone(), Value::of(template)))
            .collect();
        Self {
            needs_assertion: asserts || !claim_headers.is_empty() || refers_to_assertion(route),
            asserts,
            claim_headers,
            remove: headers.remove.clone(),
            set,
            answer: ResponseHeaderRules::of(route),
        }
    }
}

/// Whether any upstream of the file is told who the visitor is.
pub(super) fn tells_identity(config: &Config) -> bool {
    config
        .routes
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

impl Value {
    fn of(template: &Template) -> Self {
        if template.references().next().is_some() {
            Self::Template(template.clone())
        } else {
            Self::Fixed(template.render(|_, _| {}))
        }
    }
}

impl std::fmt::Debug for Value {
    /// A fixed value may be a password for the upstream.
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
            let value = match rewrite(rules, value.as_bytes()) {
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

/// The value after every rule, one after the other; `None` when none applies.
pub(super) fn rewrite<'r>(
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
