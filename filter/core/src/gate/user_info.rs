//! Tells users and applications about the session: who the user is, until when, and which routes the policies open.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::config::{IssuerFormat, Route};
use crate::env::Env;
use crate::gate::Gate;
use crate::gate::cockpit::CockpitIdentity;
use crate::gate::decision::decide;
use crate::gate::sign_in::SIGN_IN;
use crate::gate::step::Step;
use crate::http::page::{Details, Item, List};
use crate::http::path::decode;
use crate::http::reply::{Extras, Reply, SIGN_OUT_BUTTON, challenge, data, render_page};
use crate::http::request::Parsed;
use crate::policy::{Decision, Facts, Reason};
use crate::session::Session;
use crate::session::assertion::{Party, person};
use crate::time::Timestamp;

/// How many applications and groups the page lists; no user reads more.
const MAX_LISTED: usize = 50;

/// A route that is open to a user.
struct OpenRoute<'g> {
    name: &'g str,
    path: &'g str,
    reasons: Vec<&'static str>,
    cockpit: CockpitEntry,
}

/// The effect of a route's `cockpit` on a user.
enum CockpitEntry {
    /// The route does not lead to a Cockpit.
    Absent,
    /// No Unix user is mapped to the user.
    Unmapped,
    /// Cockpit logs the user in.
    Mapped(CockpitIdentity),
}

impl Gate {
    /// Builds the page about the user's session. The policies are evaluated now; nothing is kept of earlier requests.
    pub(super) fn describe_session(&self, request: &Parsed<'_>, env: &Env<'_>) -> Reply {
        let authentication = self.sessions.authenticate(request, env);
        let Some(session) = authentication.session.as_deref() else {
            return self.describe_no_session(request);
        };
        let open = self.open_routes(request, session, env.now);
        if self.pages.audience(request).asks_for_json() {
            let reply = data(200, &self.session_as_json(request, session, &open));
            return reply.for_account(Some(session.account()));
        }
        let target = self.sign_out_targets();
        let facts = self.session_as_facts(request, session, env.now);
        let items: Vec<Item> = open.iter().map(OpenRoute::as_item).collect();
        let details = self.details(session, &open);
        let extras = Extras {
            sign_out: Some(SIGN_OUT_BUTTON),
            form_target: target.as_deref(),
            facts: &facts,
            list: Some(List {
                title: "You may open",
                text: if items.is_empty() {
                    "Nothing on this host: no policy allows this account."
                } else {
                    ""
                },
                items: &items,
            }),
            details: Some(Details {
                summary: "Details for the operator",
                text: "The policies on this host were evaluated just now, for this account at this address. The last request \
                       was allowed for the same reasons, unless something has changed since.",
                facts: &details,
            }),
            ..Extras::default()
        };
        render_page(
            "Your session",
            "This is who you are for the applications on this host.",
            extras,
            &self.pages.audience(request),
        )
        .for_account(Some(session.account()))
    }

    /// Returns what an operator needs to know about a session, and the reasons of the policies.
    fn details(&self, session: &Session, open: &[OpenRoute<'_>]) -> Vec<(String, String)> {
        let mut facts = vec![
            ("Subject".to_owned(), session.subject.clone()),
            ("Groups".to_owned(), list_groups(&self.groups(session))),
            ("Refreshed".to_owned(), describe_refresh(session)),
        ];
        let reasons = open.iter().map(|route| {
            let name = format!("Why {}", route.title());
            (name, route.reasons.join(", "))
        });
        facts.extend(reasons);
        facts
    }

    fn describe_no_session(&self, request: &Parsed<'_>) -> Reply {
        let audience = self.pages.audience(request);
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
            "You are not signed in",
            "Sign in to use the applications on this host.",
            extras,
            &audience,
        )
    }

    /// Tells who the user is, in the claims that an assertion has about a user.
    pub(super) fn describe_user(&self, request: &Parsed<'_>, env: &Env<'_>) -> Step {
        let authentication = self.sessions.authenticate(request, env);
        Step::Reply(match authentication.session.as_deref() {
            Some(session) => {
                let party = Party {
                    host: &request.authority.host,
                    issuer_format: IssuerFormat::HostOnly,
                };
                let claims = person(session, party, &self.identity);
                data(200, &Value::Object(claims))
            }
            None => challenge(request, &self.pages.audience(request)),
        })
    }

    /// Returns the routes of this host that the policies open to a user, each evaluated for a request of its own path.
    fn open_routes<'g>(
        &'g self,
        request: &'g Parsed<'_>,
        session: &Session,
        now: Timestamp,
    ) -> Vec<OpenRoute<'g>> {
        let certificate = self.router.read_certificate(request);
        let here = self.router.routes_of_host(request);
        here.filter_map(|(route, path)| {
            let facts = Facts {
                session: Some(session),
                method: "GET",
                path: &decode(path),
                preflight: false,
                source: request.source,
                now,
                certificate: certificate.as_fact(),
            };
            let reasons = match decide(route, &facts) {
                Decision::Allow(_) => route.policy.trace(&facts, None).reasons,
                Decision::Deny(_) | Decision::SignIn(_) => return None,
            };
            Some(OpenRoute {
                name: &route.name,
                path,
                reasons: reasons.iter().map(Reason::word).collect(),
                cockpit: CockpitEntry::of(route, &facts),
            })
        })
        .take(MAX_LISTED)
        .collect()
    }

    /// Returns the names of a user's groups.
    fn groups(&self, session: &Session) -> Vec<String> {
        let groups = session.claim(&self.sessions.terms.groups_claim);
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
        if session.email().is_some() {
            facts.push(("Address", "verified by the provider".to_owned()));
        } else if account != session.subject {
            let unverified = "not verified: no policy relies on it".to_owned();
            facts.push(("Address", unverified));
        }
        facts.extend(self.lifetime_as_facts(session, now));
        facts.push(("Host", request.authority.host.to_string()));
        facts
    }

    fn lifetime_as_facts(&self, session: &Session, now: Timestamp) -> Vec<(&'static str, String)> {
        let (begun, ends) = (session.signed_in_at(), session.expires_at());
        let ago = format_duration(now.since(begun));
        let left = format_duration(ends.since(now));
        let mut facts = vec![
            ("Signed in", format!("{}, {ago} ago", format_time(begun))),
            ("Ends", format!("{}, in {left}", format_time(ends))),
        ];
        if let Some(idle) = self.sessions.idle {
            let idle = format_duration(idle.as_secs());
            facts.push(("Or earlier", format!("after {idle} without a request")));
        }
        facts
    }

    fn session_as_json(
        &self,
        request: &Parsed<'_>,
        session: &Session,
        open: &[OpenRoute<'_>],
    ) -> Value {
        let routes: Vec<Value> = open.iter().map(OpenRoute::as_json).collect();
        let refresh = session.refresh.as_ref();
        json!({
            "account": session.account(),
            "email_verified": session.email().is_some(),
            "subject": session.subject,
            "groups": self.groups(session),
            "host": request.authority.host,
            "signed_in_at": session.signed_in_at().0,
            "expires_at": session.expires_at().0,
            "idle_seconds": self.sessions.idle.map(|idle| idle.as_secs()),
            "refresh": refresh.map(|refresh| json!({"due_at": refresh.due_at, "times": refresh.generation})),
            "open": routes,
            "request_id": self.pages.audience(request).request_id(),
        })
    }
}

impl OpenRoute<'_> {
    fn as_item(&self) -> Item {
        Item {
            address: self.path.to_owned(),
            name: self.title(),
            text: self.cockpit.describe(),
        }
    }

    /// Names the route for people. Routes without a name are called like their host.
    fn title(&self) -> String {
        match self.path {
            "/" => self.name.to_owned(),
            path => format!("{} {path}", self.name),
        }
    }

    fn as_json(&self) -> Value {
        let mut object = json!({"route": self.name, "path": self.path, "reasons": self.reasons});
        let cockpit = match &self.cockpit {
            CockpitEntry::Absent => return object,
            CockpitEntry::Unmapped => json!({"user": null, "administrator": false}),
            CockpitEntry::Mapped(identity) => {
                json!({"user": identity.user.as_str(), "administrator": identity.administrator})
            }
        };
        object["cockpit"] = cockpit;
        object
    }
}

impl CockpitEntry {
    fn of(route: &Route, facts: &Facts<'_>) -> Self {
        match (&route.cockpit, CockpitIdentity::on(route, facts)) {
            (None, _) => Self::Absent,
            (Some(_), None) => Self::Unmapped,
            (Some(_), Some(identity)) => Self::Mapped(identity),
        }
    }

    /// Describes the Unix user for people.
    fn describe(&self) -> String {
        match self {
            Self::Absent => String::new(),
            Self::Unmapped => "but no Unix user is mapped to this account".to_owned(),
            Self::Mapped(identity) => {
                let access = if identity.administrator {
                    "with administrative access"
                } else {
                    "without administrative access"
                };
                format!("as the Unix user {}, {access}", identity.user.as_str())
            }
        }
    }
}

/// Lists groups for people, the first [`MAX_LISTED`] of them by name.
fn list_groups(groups: &[String]) -> String {
    let more = groups.len().saturating_sub(MAX_LISTED);
    let shown: Vec<&str> = groups.iter().take(MAX_LISTED).map(String::as_str).collect();
    match (shown.is_empty(), more) {
        (true, _) => "none that the policies here ask about".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Says for people when a session is refreshed.
fn describe_refresh(session: &Session) -> String {
    match &session.refresh {
        None => "not: the provider is asked again at the next sign-in".to_owned(),
        Some(refresh) => {
            let due = format_time(Timestamp(refresh.due_at));
            match session.generation() {
                0 => format!("with the provider, for the first time at {due}"),
                1 => format!("with the provider once, and again at {due}"),
                times => format!("with the provider {times} times, and again at {due}"),
            }
        }
    }
}

/// Formats a time for people, in UTC: the page runs no script that could know their time zone.
fn format_time(time: Timestamp) -> Cow<'static, str> {
    let second = i64::try_from(time.0).ok();
    let time = second.and_then(|second| jiff::Timestamp::from_second(second).ok());
    time.map_or(Cow::Borrowed("the end of time"), |time| {
        Cow::Owned(time.strftime("%Y-%m-%d %H:%M UTC").to_string())
    })
}

/// Formats a length of time for people: two units are enough.
fn format_duration(seconds: u64) -> String {
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
    fn times_are_formatted_for_people() {
        assert_eq!(
            format_time(Timestamp(1_795_507_200)),
            "2026-11-24 08:00 UTC"
        );
        assert_eq!(format_time(Timestamp(u64::MAX)), "the end of time");
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (3599, "59 min"),
            (3600, "1 h 0 min"),
            (50_399, "13 h 59 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(format_duration(seconds), expected);
        }
    }
}
