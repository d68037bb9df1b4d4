//! Edits upstreams' responses, and builds the responses that a route gives without an upstream.

use std::borrow::Cow;

use crate::config::{FixedResponse, Redirect, Route, RouteNumber};
use crate::gate::Gate;
use crate::gate::cockpit::cookie::{Binding, ReleasedCookie};
use crate::gate::decision::RouteContext;
use crate::gate::header_rules::{ResponseHeaderRules, rewrite_value};
use crate::gate::rewrite::redirect_location;
use crate::gate::router::MatchedRoute;
use crate::gate::step::{Forwarded, Step};
use crate::http::caching;
use crate::http::cookie::CookieNames;
use crate::http::edit::Edit;
use crate::http::reply::{Reply, plain, redirect};
use crate::http::upstream_failure::UpstreamFailure;
use crate::policy::Permit;

/// How an upstream's response changes on its way to the client.
#[derive(Debug, Default)]
pub struct AnswerEdits<'a> {
    /// Header edits, in the order in which they apply.
    pub edits: Vec<Edit<'a>>,
    /// Whether the upstream tried to set a cookie that only the proxy, or a login to Cockpit, sets.
    pub withheld_cookie: bool,
}

/// Refuses an upstream's response whose status must not reach the client. `switches` comes from the permission to forward
/// ([`crate::gate::step::Forwarded::switches`]).
///
/// After a protocol switch that the client did not ask for, or a status that is not valid (RFC 9110 section 15), the client
/// would misread what follows.
#[must_use]
pub fn refuse_status(status: &[u8], switches: bool) -> Option<Reply> {
    let event = match status {
        b"101" if switches => return None,
        b"101" => "the upstream switches to a protocol that was not asked for",
        [b'1'..=b'9', rest @ ..] if rest.len() == 2 && rest.iter().all(u8::is_ascii_digit) => {
            return None;
        }
        _ => "the upstream's status is none",
    };
    let failure = UpstreamFailure::BadAnswer;
    Some(plain(failure.status(), failure.explanation(), event))
}

/// The treatment of the cookies that an upstream sets.
struct UpstreamCookies<'a> {
    names: &'a CookieNames,
    rules: &'a ResponseHeaderRules,
    /// The binding of the cookies to the user's session, when the upstream is a Cockpit.
    binding: Option<&'a Binding>,
}

/// A `Set-Cookie` value on its way to the client.
enum EditedCookie {
    Unchanged,
    Changed(Vec<u8>),
    Withheld,
}

impl UpstreamCookies<'_> {
    /// Rewrites a cookie, binds it when it is Cockpit's, and withholds one that only the proxy may set.
    fn edit(&self, line: &[u8]) -> EditedCookie {
        let mut rules = self.rules.rewrites.iter();
        let rules = rules.find(|(name, _)| name == SET_COOKIE);
        let mut changed = rules.and_then(|(_, rules)| rewrite_value(rules, line));
        let present = changed.as_deref().unwrap_or(line);
        match self.binding.map(|binding| binding.release(present)) {
            None | Some(ReleasedCookie::Unchanged) => {}
            Some(ReleasedCookie::Changed(bound)) => changed = Some(bound),
            Some(ReleasedCookie::Withheld) => return EditedCookie::Withheld,
        }
        if self.names.sets_own(changed.as_deref().unwrap_or(line)) {
            return EditedCookie::Withheld;
        }
        changed.map_or(EditedCookie::Unchanged, EditedCookie::Changed)
    }
}

impl<'g> AnswerEdits<'g> {
    /// Adds the edits that a route asks for, except those of cookies.
    fn apply_rules(&mut self, rules: &'g ResponseHeaderRules, headers: &[(String, Vec<u8>)]) {
        let set = rules.set.iter();
        self.edits
            .extend(set.map(|(name, value)| set_header(name, value)));
        let has = |name: &str| headers.iter().any(|(other, _)| other == name);
        // A connection that changes its protocol has no page to protect.
        let switches = headers
            .iter()
            .any(|(name, value)| name == ":status" && value == b"101");
        if !switches {
            let missing = rules.defaults.iter().filter(|(name, _)| !has(name));
            self.edits
                .extend(missing.map(|(name, value)| set_header(name, value)));
        }
        for (name, rewrites) in &rules.rewrites {
            if name != SET_COOKIE {
                let rewritten = |line: &[u8]| rewrite_value(rewrites, line);
                replace_lines(name, headers, rewritten, &mut self.edits);
            }
        }
    }

    /// Replaces the cookies that the upstream sets, when any of them changes.
    fn replace_cookies(&mut self, upstream: &UpstreamCookies<'_>, headers: &[(String, Vec<u8>)]) {
        let mut is_changed = false;
        let mut kept = Vec::new();
        for (_, line) in headers.iter().filter(|(name, _)| name == SET_COOKIE) {
            match upstream.edit(line) {
                EditedCookie::Unchanged => kept.push(line.clone()),
                EditedCookie::Changed(changed) => {
                    is_changed = true;
                    kept.push(changed);
                }
                EditedCookie::Withheld => self.withheld_cookie = true,
            }
        }
        if is_changed || self.withheld_cookie {
            self.edits.push(Edit::Remove(SET_COOKIE.into()));
            let lines = kept.into_iter();
            self.edits
                .extend(lines.map(|line| Edit::Add(SET_COOKIE.into(), line.into())));
        }
    }
}

impl Gate {
    /// Returns whether the edits of a response depend on its own headers beside `Set-Cookie`. If not, [`Gate::edit_answer`]
    /// needs no headers when the response sets no cookie.
    #[must_use]
    pub fn reads_answer(&self, forwarded: &Forwarded) -> bool {
        let rules = self.response_rules(forwarded.route);
        !forwarded.cookies.is_empty()
            || rules.is_some_and(|rules| !(rules.defaults.is_empty() && rules.rewrites.is_empty()))
    }

    /// Returns how the headers of an upstream's response change. `headers` are the response's, with names in lower case and
    /// `:status` among them.
    #[must_use]
    pub fn edit_answer<'g>(
        &'g self,
        forwarded: &'g Forwarded,
        headers: &[(String, Vec<u8>)],
    ) -> AnswerEdits<'g> {
        let mut answer = AnswerEdits::default();
        if let Some(rules) = self.response_rules(forwarded.route) {
            answer.apply_rules(rules, headers);
            if !rules.set.iter().any(|(name, _)| name == SET_COOKIE) {
                let names = &self.sessions.vault.names;
                let upstream = UpstreamCookies {
                    names,
                    rules,
                    binding: forwarded.binding.as_ref(),
                };
                answer.replace_cookies(&upstream, headers);
            }
        }
        if !forwarded.cookies.is_empty() {
            caching::keep_private(headers, &mut answer.edits);
            let cookies = forwarded.cookies.iter();
            let edits = cookies.map(|line| Edit::Add(SET_COOKIE.into(), line.as_bytes().into()));
            answer.edits.extend(edits);
        }
        answer
    }

    fn response_rules(&self, route: RouteNumber) -> Option<&ResponseHeaderRules> {
        self.router.rules(route).map(|rules| &rules.response)
    }

    /// Answers a permitted request on a route that redirects (`redirect`).
    pub(super) fn redirect_away(
        &self,
        context: &RouteContext<'_, '_>,
        to: &Redirect,
        _permit: &Permit,
    ) -> Step {
        let (request, matched) = (context.request, context.matched);
        let location = match redirect_location(request, matched.route, to) {
            Ok(location) => location,
            Err(refusal) => return self.pages.refuse(request, refusal),
        };
        let event = format!("redirected route={:?}", matched.route.name);
        let mut reply = redirect(location, event);
        reply.status = to.status;
        apply_response_headers(&mut reply, &matched.rules.response);
        Step::Reply(reply)
    }
}

/// Returns the `Location` of an upstream's response as the client gets it (`rewrite_response_headers`).
#[must_use]
pub fn rewritten_location<'l>(route: &Route, location: &'l str) -> Cow<'l, str> {
    let rules = route.response_headers.rewrite.iter();
    let rules = rules.filter(|rule| rule.header == "location");
    match rewrite_value(rules, location.as_bytes()) {
        Some(rewritten) => Cow::Owned(String::from_utf8_lossy(&rewritten).into_owned()),
        None => Cow::Borrowed(location),
    }
}

/// Answers a permitted request on a route with a fixed response (`response`).
pub(super) fn fixed_response(
    matched: MatchedRoute<'_>,
    response: &FixedResponse,
    _permit: &Permit,
) -> Step {
    let event = format!("answered route={:?}", matched.route.name);
    // Responses with these statuses have no body (RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5).
    let body = if matches!(response.status, 204 | 205 | 304) {
        ""
    } else {
        &response.body
    };
    let mut reply = plain(response.status, body, event);
    apply_response_headers(&mut reply, &matched.rules.response);
    Step::Reply(reply)
}

const SET_COOKIE: &str = "set-cookie";

fn set_header<'a>(name: &'a str, value: &'a str) -> Edit<'a> {
    Edit::set(name, value.as_bytes())
}

/// Replaces the lines of one header, when `rewritten` changes any of them.
fn replace_lines<'a>(
    name: &'a str,
    headers: &[(String, Vec<u8>)],
    rewritten: impl Fn(&[u8]) -> Option<Vec<u8>>,
    edits: &mut Vec<Edit<'a>>,
) {
    let lines: Vec<&[u8]> = headers
        .iter()
        .filter(|(other, _)| other == name)
        .map(|(_, line)| line.as_slice())
        .collect();
    let new: Vec<Option<Vec<u8>>> = lines.iter().map(|line| rewritten(line)).collect();
    if new.iter().all(Option::is_none) {
        return;
    }
    let mut values = lines
        .into_iter()
        .zip(new)
        .map(|(line, new)| new.unwrap_or_else(|| line.to_vec()));
    edits.extend(values.next().map(|first| Edit::set(name, first)));
    edits.extend(values.map(|value| Edit::Add(name.into(), value.into())));
}

/// Sets the route's response headers on a response that the route itself gives.
fn apply_response_headers(reply: &mut Reply, rules: &ResponseHeaderRules) {
    for (name, value) in &rules.set {
        reply.headers.retain(|(other, _)| other != name);
        let line = (Cow::Owned(name.clone()), value.clone());
        reply.headers.push(line);
    }
    for (name, value) in &rules.defaults {
        if reply.header(name).is_none() {
            let line = (Cow::Owned(name.clone()), value.clone());
            reply.headers.push(line);
        }
    }
}
