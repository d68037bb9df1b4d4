//! A policy's judgement criterion by criterion, for people who ask why.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::http::client_certificate::ClientCertificate;
use crate::policy::{Criterion, Facts, Policy, Reasons, Term, any};
use crate::session::Session;

/// What every part of a policy said about one request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trace {
    /// The terms of `allow`.
    pub allow: Vec<TermTrace>,
    /// The terms of `deny`.
    pub deny: Vec<TermTrace>,
    /// Why `allow` holds, or why it does not.
    pub reasons: Reasons,
}

/// What one operator said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TermTrace {
    /// `and`, `or`, `not` or `nor`.
    pub operator: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What its criteria said.
    pub criteria: Vec<CriterionTrace>,
}

/// What one criterion said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CriterionTrace {
    /// The criterion, as in [`Criterion::to_line`].
    pub criterion: String,
    /// Whether it holds.
    pub holds: bool,
    /// Why.
    pub reasons: Reasons,
    /// What it looked at, in words; empty when it looks at nothing.
    pub looked_at: String,
}

impl Policy {
    /// Judges a request as [`Policy::decide`] does and tells what each part said.
    ///
    /// `shown` is the session as it is told to people: it may hold claims that no policy asks for.
    #[must_use]
    pub fn trace(&self, facts: &Facts<'_>, shown: Option<&Session>) -> Trace {
        let terms = |terms: &[Term]| terms.iter().map(|term| term.trace(facts, shown)).collect();
        Trace {
            allow: terms(&self.allow),
            deny: terms(&self.deny),
            reasons: any(self.allow.iter().map(|term| term.judge(facts))).reasons,
        }
    }
}

impl Term {
    fn trace(&self, facts: &Facts<'_>, shown: Option<&Session>) -> TermTrace {
        let criterion = |criterion: &Criterion| {
            let verdict = criterion.judge(facts);
            CriterionTrace {
                criterion: criterion.to_line(),
                holds: verdict.holds,
                reasons: verdict.reasons,
                looked_at: looked_at(criterion, facts, shown),
            }
        };
        TermTrace {
            operator: self.operator.name(),
            holds: self.judge(facts).holds,
            criteria: self.criteria.iter().map(criterion).collect(),
        }
    }
}

fn looked_at(criterion: &Criterion, facts: &Facts<'_>, session: Option<&Session>) -> String {
    match criterion {
        Criterion::Accept | Criterion::Reject | Criterion::PomeriumRoutes => String::new(),
        Criterion::AuthenticatedUser | Criterion::User(_) => {
            of_visitor(session, |session| session.subject.clone())
        }
        Criterion::Email(_) | Criterion::Domain(_) => of_visitor(session, |session| {
            session
                .email()
                .map_or_else(|| "no verified address".to_owned(), str::to_owned)
        }),
        Criterion::Claim(name, _) | Criterion::Groups(name, _) => {
            of_visitor(session, |session| claim(session, name))
        }
        Criterion::HttpMethod(_) => facts.method.to_owned(),
        Criterion::HttpPath(_) => facts.path.to_owned(),
        Criterion::CorsPreflight if facts.preflight => "a CORS preflight".to_owned(),
        Criterion::CorsPreflight => "no CORS preflight".to_owned(),
        Criterion::SourceIp(_) => facts
            .source
            .map_or_else(|| "no address".to_owned(), |address| address.to_string()),
        Criterion::ClientCertificate(_) | Criterion::InvalidClientCertificate => {
            certificate(facts.certificate)
        }
        Criterion::Date(_) => local(facts, &TimeZone::UTC, "%Y-%m-%dT%H:%M:%SZ"),
        Criterion::DayOfWeek(_) => local(facts, &TimeZone::UTC, "%A (UTC)"),
        Criterion::TimeOfDay(window) => {
            let zone = window.zone.iana_name().unwrap_or("UTC");
            format!("{} ({zone})", local(facts, &window.zone, "%H:%M:%S"))
        }
    }
}

fn of_visitor(session: Option<&Session>, tell: impl FnOnce(&Session) -> String) -> String {
    session.map_or_else(|| "nobody is signed in".to_owned(), tell)
}

/// How many values of a claim are told: a person may be in hundreds of groups.
const MAX_VALUES: usize = 20;

fn claim(session: &Session, name: &str) -> String {
    let values = session.claim(name);
    let mut text = String::from("[");
    for (place, value) in values.iter().take(MAX_VALUES).enumerate() {
        let comma = if place > 0 { ", " } else { "" };
        // Writing to a string does not fail.
        let _ = match value.as_str() {
            Some(value) => write!(text, "{comma}{value}"),
            None => write!(text, "{comma}{value}"),
        };
    }
    let hidden = values.len().saturating_sub(MAX_VALUES);
    if hidden > 0 {
        let _ = write!(text, ", and {hidden} more");
    }
    text.push(']');
    text
}

fn certificate(certificate: ClientCertificate<'_>) -> String {
    match certificate {
        ClientCertificate::NotAsked => "no certificate is asked for".to_owned(),
        ClientCertificate::Missing => "no certificate was shown".to_owned(),
        ClientCertificate::Invalid => "a certificate that is not valid".to_owned(),
        ClientCertificate::Valid(shown) => format!("the certificate {}", shown.fingerprint),
    }
}

fn local(facts: &Facts<'_>, zone: &TimeZone, format: &str) -> String {
    i64::try_from(facts.now.0)
        .ok()
        .and_then(|now| Timestamp::from_second(now).ok())
        .map_or_else(
            || "a time out of all bounds".to_owned(),
            |now| zone.to_datetime(now).strftime(format).to_string(),
        )
}
