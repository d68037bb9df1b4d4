//! What a visitor sees of an upstream's answer, and the answers that a route gives without an upstream.

use std::borrow::Cow;

use super::cockpit::cookie::Released;
use super::header_rules::{ResponseHeaderRules, rewrite};
use super::{Binding, Chosen, Gate, rewrite as rewriting};
use crate::config::{FixedResponse, Redirect, RouteNumber};
use crate::gate::step::{Forwarded, Step};
use crate::http::caching;
use crate::http::edit::Edit;
use crate::http::reply::{Reply, plain, redirect};
use crate::http::request::Parsed;
use crate::http::upstream_failure::UpstreamFailure;
use crate::policy::Permit;

/// How an upstream's answer changes on its way to the visitor.
#[derive(Debug, Default)]
pub struct AnswerEdits<'a> {
    /// Header edits, to be done in this order.
    pub edits: Vec<Edit<'a>>,
    /// Whether the upstream tried to set a cookie that only the proxy, or a login to Cockpit, sets.
    pub withheld_cookie: bool,
}

/// Why an upstream's answer does not reach the client, judged by its status; `switches` is that of the permission to
/// forward ([`crate::gate::step::Forwarded::switches`]). A client that is told of another protocol which it did not ask for, or of
/// a status that is none (RFC 9110 section 15), would take what follows for something else than HTTP.
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
    let outage = UpstreamFailure::BadAnswer;
    Some(plain(outage.status(), outage.explanation(), event))
}

impl Gate {
    /// Whether the edits of an answer depend on the answer's own headers, beside `Set-Cookie`: otherwise
    /// [`Gate::edit_answer`] needs to be shown none when the answer sets no cookie.
    #[must_use]
    pub fn reads_answer(&self, forwarded: &Forwarded) -> bool {
        let plan = self.plan(forwarded.route);
        !forwarded.cookies.is_empty()
            || plan.is_some_and(|plan| !(plan.defaults.is_empty() && plan.rewrites.is_empty()))
    }

    /// How the headers of an upstream's answer change. `headers` are the answer's, names in lower case, `:status` among
    /// them.
    #[must_use]
    pub fn edit_answer<'g>(
        &'g self,
        forwarded: &'g Forwarded,
        headers: &[(String, Vec<u8>)],
    ) -> AnswerEdits<'g> {
        let mut answer = AnswerEdits::default();
        if let Some(plan) = self.plan(forwarded.route) {
            self.edit_by_plan(plan, forwarded.binding.as_ref(), headers, &mut answer);
        }
        if !forwarded.cookies.is_empty() {
            caching::keep_private(headers, &mut answer.edits);
            let cookies = forwarded.cookies.iter();
            let edits = cookies.map(|line| Edit::Add(SET_COOKIE.into(), line.as_bytes().into()));
            answer.edits.extend(edits);
        }
        answer
    }

    /// Makes the edits that a route asks for.
    fn edit_by_plan<'g>(
        &'g self,
        plan: &'g ResponseHeaderRules,
        binding: Option<&Binding>,
        headers: &[(String, Vec<u8>)],
        answer: &mut AnswerEdits<'g>,
    ) {
        for (name, value) in &plan.set {
            answer.edits.push(set(name, value));
        }
        let has = |name: &str| headers.iter().any(|(other, _)| other == name);
        // A connection that changes its protocol has no page to protect.
        let switches = headers
            .iter()
            .any(|(name, value)| name == ":status" && value == b"101");
        if !switches {
            let missing = plan.defaults.iter().filter(|(name, _)| !has(name));
            let edits = missing.map(|(name, value)| set(name, value));
            answer.edits.extend(edits);
        }
        for (name, rules) in &plan.rewrites {
            if name != SET_COOKIE {
                let rewritten = |line: &[u8]| rewrite(rules, line);
                replace_lines(name, headers, rewritten, &mut answer.edits);
            }
        }
        if !plan.set.iter().any(|(name, _)| name == SET_COOKIE) {
            self.edit_cookies(plan, binding, headers, answer);
        }
    }

    /// Rewrites the cookies that an upstream sets, binds those of a Cockpit, and takes out ours.
    fn edit_cookies(
        &self,
        plan: &ResponseHeaderRules,
        binding: Option<&Binding>,
        headers: &[(String, Vec<u8>)],
        answer: &mut AnswerEdits<'_>,
    ) {
        let rules = plan.rewrites.iter().find(|(name, _)| name == SET_COOKIE);
        let mut changed = false;
        let mut kept = Vec::new();
        for (_, line) in headers.iter().filter(|(name, _)| name == SET_COOKIE) {
            let rewritten = rules.and_then(|(_, rules)| rewrite(rules, line));
            changed |= rewritten.is_some();
            let line = rewritten.unwrap_or_else(|| line.clone());
            let line = match binding.map(|binding| binding.release(&line)) {
                None | Some(Released::Same) => line,
                Some(Released::Changed(bound)) => {
                    changed = true;
                    bound
                }
                Some(Released::Withheld) => {
                    answer.withheld_cookie = true;
                    continue;
                }
            };
            if self.cookies.sets_own(&line) {
                answer.withheld_cookie = true;
            } else {
                kept.push(line);
            }
        }
        if changed || answer.withheld_cookie {
            answer.edits.push(Edit::Remove(SET_COOKIE.into()));
            let lines = kept.into_iter();
            let edits = lines.map(|line| Edit::Add(SET_COOKIE.into(), line.into()));
            answer.edits.extend(edits);
        }
    }

    fn plan(&self, route: RouteNumber) -> Option<&ResponseHeaderRules> {
        self.plans.get(route.0).map(|plan| &plan.answer)
    }

    /// The answer of a route that sends visitors elsewhere (`redirect`), for a permitted request.
    pub(super) fn redirect_away(
        &self,
        request: &Parsed<'_>,
        chosen: &Chosen<'_>,
        to: &Redirect,
        _permit: &Permit,
    ) -> Step {
        let location = match rewriting::location(request, chosen.route, to) {
            Ok(location) => location,
            Err(refusal) => return self.refuse(request, refusal),
        };
        let event = format!("redirected route={:?}", chosen.route.name);
        let mut reply = redirect(location, event);
        reply.status = to.status;
        apply_response_headers(&mut reply, &chosen.plan.answer);
        Step::Reply(reply)
    }
}

/// The answer of a route with an answer of its own (`response`), for a permitted request.
pub(super) fn fixed_answer(
    chosen: &Chosen<'_>,
    response: &FixedResponse,
    _permit: &Permit,
) -> Step {
    let event = format!("answered route={:?}", chosen.route.name);
    // These say that there is nothing more to come (RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5).
    let body = if matches!(response.status, 204 | 205 | 304) {
        ""
    } else {
        &response.body
    };
    let mut reply = plain(response.status, body, event);
    apply_response_headers(&mut reply, &chosen.plan.answer);
    Step::Reply(reply)
}

const SET_COOKIE: &str = "set-cookie";

fn set<'a>(name: &'a str, value: &'a str) -> Edit<'a> {
    Edit::set(name, value.as_bytes())
}

/// Replaces the lines of one header, when `rewritten` changes any.
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

/// Puts the route's response headers on an answer that the route itself gives.
fn apply_response_headers(reply: &mut Reply, plan: &ResponseHeaderRules) {
    for (name, value) in &plan.set {
        reply.headers.retain(|(other, _)| other != name);
        let line = (Cow::Owned(name.clone()), value.clone());
        reply.headers.push(line);
    }
    for (name, value) in &plan.defaults {
        if reply.header(name).is_none() {
            let line = (Cow::Owned(name.clone()), value.clone());
            reply.headers.push(line);
        }
    }
}
