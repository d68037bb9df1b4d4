//! Who the visitor is here, until when, and why the policies let them in.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::Gate;
use super::routes::HTTPS;
use super::sign_in::SIGN_IN;
use crate::config::{IssuerFormat, PathMatch};
use crate::env::Env;
use crate::gate::step::Step;
use crate::http::page::{Item, List};
use crate::http::path::decode;
use crate::http::reply::{Extras, Reply, challenge, data, render_page};
use crate::http::request::Parsed;
use crate::policy::{Decision, Facts, Reason};
use crate::session::Session;
use crate::session::assertion::Party;
use crate::time::Timestamp;

/// Applications and groups that the page lists; a person reads no more.
const MAX_LISTED: usize = 50;

/// A route that is open to a visitor.
struct Open<'g> {
    name: &'g str,
    path: &'g str,
    reasons: Vec<&'static str>,
}

impl Gate {
    /// The page about the visitor's session. It asks the policies now: nothing is kept of earlier requests.
    pub(super) fn who_am_i(&self, request: &Parsed<'_>, env: &Env<'_>) -> Reply {
        let visit = self.visit(request, env);
        let Some(session) = visit.session.as_deref() else {
            return self.nobody(request);
        };
        let open = self.open_routes(request, session, env.now);
        if self.audience(request).asks_for_json() {
            return data(200, &self.session_as_json(request, session, &open));
        }
        let (target, facts) = (
            self.sign_out_targets(),
            self.session_as_facts(request, session, env.now),
        );
        let items: Vec<Item> = open.iter().map(Open::as_item).collect();
        let list = List {
            title: "What is open to you",
            text: if items.is_empty() {
                "The policies on this host let this account in nowhere."
            } else {
                "The policies on this host were asked just now, for this account at this address, and these are their reasons. \
                 The last request was allowed for the same ones, unless something has changed since."
            },
            items: &items,
        };
        let extras = Extras {
            sign_out: true,
            form_target: target.as_deref(),
            facts: &facts,
            list: Some(list),
            ..Extras::default()
        };
        render_page(
            "Your session",
            "This is who you are for the applications on this host.",
            extras,
            &self.audience(request),
        )
    }

    fn nobody(&self, request: &Parsed<'_>) -> Reply {
        let audience = self.audience(request);
        if audience.asks_for_json() {
            return data(
                200,
                &json!({
                    "account": null,
                    "host": request.authority.host,
                    "sign_in_url": format!("{}{SIGN_IN}", request.authority.origin()),
                    "request_id": audience.request_id(),
                }),
            );
        }
        let extras = Extras {
            link: Some((SIGN_IN, "Sign in")),
            ..Extras::default()
        };
        render_page(
            "Nobody is signed in",
            "Sign in to use the applications on this host.",
            extras,
            &audience,
        )
    }

    /// Who the visitor is, in the claims that an application's assertion has about a person.
    pub(super) fn user(&self, request: &Parsed<'_>, env: &Env<'_>) -> Step {
        let visit = self.visit(request, env);
        Step::Reply(match visit.session.as_deref() {
            Some(session) => {
                let party = Party {
                    host: &request.authority.host,
                    issuer_format: IssuerFormat::HostOnly,
                };
                let claims =
                    crate::session::assertion::person(session, party, &self.config.identity);
                data(200, &Value::Object(claims))
            }
            None => challenge(request, &self.audience(request)),
        })
    }

    /// The routes of this host that the policies open to a visitor, each asked about a request for its own path.
    fn open_routes(
        &self,
        request: &Parsed<'_>,
        session: &Session,
        now: Timestamp,
    ) -> Vec<Open<'_>> {
        let (routes, host) = (&self.config.routes, &*request.authority.host);
        let port = request.authority.port.unwrap_or(HTTPS);
        let certificate = self.certificates.read(request.certificate);
        let here = routes.iter().enumerate();
        here.filter(|(_, route)| self.index.serves(&route.from, host, port))
            .filter_map(|(place, route)| {
                let path = match &route.path {
                    PathMatch::Exact(path) | PathMatch::Prefix(path) => path,
                    PathMatch::Any | PathMatch::Regex(_) => "/",
                };
                // An earlier route may have the path, or the route not serve it.
                (self.index.find(routes, host, port, path) == Some(place)).then_some(())?;
                let facts = Facts {
                    session: Some(session),
                    method: "GET",
                    path: &decode(path),
                    preflight: false,
                    source: request.source,
                    now,
                    certificate: certificate.as_fact(),
                };
                let reasons = match Self::judge(route, &facts) {
                    Decision::Allow(_) => route.policy.trace(&facts, None).reasons,
                    Decision::Deny(_) | Decision::SignIn(_) => return None,
                };
                Some(Open {
                    name: &route.name,
                    path,
                    reasons: reasons.iter().map(Reason::word).collect(),
                })
            })
            .take(MAX_LISTED)
            .collect()
    }

    fn groups(&self, session: &Session) -> Vec<String> {
        let groups = session.claim(&self.config.identity.groups_claim);
        let text = |group: &Value| match group {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        groups.iter().map(text).collect()
    }

    fn session_as_facts(
        &self,
        request: &Parsed<'_>,
        session: &Session,
        now: Timestamp,
    ) -> Vec<(&'static str, String)> {
        let account = session.account();
        let mut facts = vec![("Account", account.to_owned())];
        let has_address = session.email().is_some() || account != session.subject;
        if has_address {
            let verified = if session.email().is_some() {
                "verified by the provider"
            } else {
                "not verified: no policy relies on it"
            };
            facts.push(("Address", verified.to_owned()));
        }
        facts.push(("Subject", session.subject.clone()));
        let groups = self.groups(session);
        let more = groups.len().saturating_sub(MAX_LISTED);
        let shown: Vec<&str> = groups.iter().take(MAX_LISTED).map(String::as_str).collect();
        facts.push((
            "Groups",
            match (shown.is_empty(), more) {
                (true, _) => "none that the policies here ask about".to_owned(),
                (false, 0) => shown.join(", "),
                (false, more) => format!("{} and {more} more", shown.join(", ")),
            },
        ));
        let (begun, ends) = (session.signed_in_at(), session.expires_at());
        facts.push((
            "Signed in",
            format!("{}, {} ago", moment(begun), span(now.since(begun))),
        ));
        facts.push((
            "Ends",
            format!("{}, in {}", moment(ends), span(ends.since(now))),
        ));
        if let Some(idle) = self.config.session.idle {
            facts.push((
                "Or earlier",
                format!("after {} without a request", span(idle.as_secs())),
            ));
        }
        facts.push(("Refreshed", refresh(session)));
        facts.push(("Host", request.authority.host.to_string()));
        facts
    }

    fn session_as_json(&self, request: &Parsed<'_>, session: &Session, open: &[Open<'_>]) -> Value {
        let routes: Vec<Value> = open
            .iter()
            .map(|open| json!({"route": open.name, "path": open.path, "reasons": open.reasons}))
            .collect();
        let refresh = session.refresh.as_ref();
        json!({
            "account": session.account(),
            "email_verified": session.email().is_some(),
            "subject": session.subject,
            "groups": self.groups(session),
            "host": request.authority.host,
            "signed_in_at": session.signed_in_at().0,
            "expires_at": session.expires_at().0,
            "idle_seconds": self.config.session.idle.map(|idle| idle.as_secs()),
            "refresh": refresh.map(|refresh| json!({"due_at": refresh.due_at, "times": refresh.generation})),
            "open": routes,
            "request_id": self.audience(request).request_id(),
        })
    }
}

impl Open<'_> {
    fn as_item(&self) -> Item {
        Item {
            address: self.path.to_owned(),
            // Routes without a name are called like their host.
            name: match self.path {
                "/" => self.name.to_owned(),
                path => format!("{} {path}", self.name),
            },
            text: self.reasons.join(", "),
        }
    }
}

fn refresh(session: &Session) -> String {
    match &session.refresh {
        None => "not: the provider is asked again at the next sign-in".to_owned(),
        Some(refresh) => {
            let due = moment(Timestamp(refresh.due_at));
            match session.generation() {
                0 => format!("with the provider, for the first time at {due}"),
                1 => format!("with the provider once, and again at {due}"),
                times => format!("with the provider {times} times, and again at {due}"),
            }
        }
    }
}

/// A time for people, in UTC: the page runs no script that could know theirs.
fn moment(time: Timestamp) -> Cow<'static, str> {
    let second = i64::try_from(time.0).ok();
    let time = second.and_then(|second| jiff::Timestamp::from_second(second).ok());
    time.map_or(Cow::Borrowed("the end of time"), |time| {
        Cow::Owned(time.strftime("%Y-%m-%d %H:%M UTC").to_string())
    })
}

/// A length of time for people: two units are enough.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_to_people() {
        assert_eq!(moment(Timestamp(1_795_507_200)), "2026-11-24 08:00 UTC");
        assert_eq!(moment(Timestamp(u64::MAX)), "the end of time");
        for (seconds, told) in [
            (0, "0 s"),
            (59, "59 s"),
            (3599, "59 min"),
            (3600, "1 h 0 min"),
            (50_399, "13 h 59 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds), told);
        }
    }
}
