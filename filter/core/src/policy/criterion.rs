//! The single questions that a policy asks.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::http::client_certificate::ClientCertificate;
use crate::http::request::Parsed;
use crate::policy::certificate::CertificateMatcher;
use crate::policy::list::ListMatcher;
use crate::policy::time::{DateWindow, TimeWindow, Weekdays};
use crate::policy::{Reason, Reasons, StringMatcher, Verdict, address};
use crate::session::Session;
use crate::time::Timestamp;

/// What criteria may look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The live session, if there is one.
    pub session: Option<&'a Session>,
    /// HTTP method, as received.
    pub method: &'a str,
    /// The canonical path, percent-decoded, without its query.
    pub path: &'a str,
    /// Whether this is a CORS preflight (Fetch standard): `OPTIONS` with `Origin` and `Access-Control-Request-Method`.
    pub preflight: bool,
    /// The client's address as far as the proxy trusts it; `None` when it has none.
    pub source: Option<IpAddr>,
    /// Now.
    pub now: Timestamp,
    /// The client's certificate.
    pub certificate: ClientCertificate<'a>,
}

impl<'a> Facts<'a> {
    /// Returns the facts of a request without a session or a certificate. `path` is [`Parsed::decoded_path`], which the
    /// caller keeps.
    pub(crate) const fn of(request: &'a Parsed<'_>, path: &'a str, now: Timestamp) -> Self {
        Facts {
            session: None,
            method: request.method,
            path,
            preflight: request.preflight,
            source: request.source,
            now,
            certificate: ClientCertificate::NotAsked,
        }
    }
}

/// One question.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Criterion {
    /// Always.
    Accept,
    /// Never.
    Reject,
    /// Somebody is signed in.
    AuthenticatedUser,
    /// The visitor's verified address.
    Email(StringMatcher),
    /// What follows the only `@` of the verified address.
    Domain(StringMatcher),
    /// The provider's name for the visitor (`sub`).
    User(StringMatcher),
    /// The values of one claim.
    Claim(String, ListMatcher),
    /// The values of the claim that names the visitor's groups.
    Groups(String, ListMatcher),
    /// The method.
    HttpMethod(StringMatcher),
    /// The decoded path without its query.
    HttpPath(StringMatcher),
    /// A CORS preflight.
    CorsPreflight,
    /// The client's address is in one of these networks.
    SourceIp(Vec<IpNet>),
    /// The client's valid certificate.
    ClientCertificate(CertificateMatcher),
    /// A certificate is asked for, and there is no valid one.
    InvalidClientCertificate,
    /// Now is within this span.
    Date(DateWindow),
    /// Today is one of these days.
    DayOfWeek(Weekdays),
    /// Now is within this part of the day.
    TimeOfDay(TimeWindow),
    /// Pomerium's own pages, which are never judged by a policy: never.
    PomeriumRoutes,
}

impl Criterion {
    /// `domain: {is: …}`.
    #[must_use]
    pub(crate) fn domain_is(domain: &str) -> Self {
        Self::Domain(StringMatcher::is(domain.to_ascii_lowercase()))
    }

    /// `user: {is: …}`.
    #[must_use]
    pub(crate) fn user_is(user: &str) -> Self {
        Self::User(StringMatcher::is(user.to_owned()))
    }

    /// `email: {is: …}`.
    #[must_use]
    pub(crate) fn email_is(email: &str) -> Self {
        Self::Email(StringMatcher::is(crate::session::lower_case_domain(
            email.to_owned(),
        )))
    }

    /// `claim/NAME: {has: …}`.
    #[must_use]
    pub(crate) fn claim_has(name: &str, value: &serde_json::Value) -> Self {
        Self::Claim(name.to_owned(), ListMatcher::has(value.clone()))
    }

    pub(super) fn judge(&self, facts: &Facts<'_>) -> Verdict {
        use Reason as R;
        match self {
            Self::Accept => verdict(true, R::Accept, R::Accept),
            Self::Reject => verdict(false, R::Reject, R::Reject),
            Self::AuthenticatedUser => of_user(facts, |_| true, R::UserOk, R::UserUnauthorized),
            Self::Email(matcher) => {
                // Somebody without an address has an empty one, as in Pomerium.
                let fits = |session: &Session| matcher.fits(session.email().unwrap_or_default());
                of_user(facts, fits, R::EmailOk, R::EmailUnauthorized)
            }
            Self::Domain(matcher) => {
                let fits = |session: &Session| {
                    session
                        .email()
                        .and_then(domain)
                        .is_some_and(|domain| matcher.fits(domain))
                };
                of_user(facts, fits, R::DomainOk, R::DomainUnauthorized)
            }
            Self::User(matcher) => of_user(
                facts,
                |session| matcher.fits(&session.subject),
                R::UserOk,
                R::UserUnauthorized,
            ),
            Self::Claim(name, matcher) => of_user(
                facts,
                |session| matcher.fits(session.claim(name)),
                R::ClaimOk,
                R::ClaimUnauthorized,
            ),
            Self::Groups(name, matcher) => of_user(
                facts,
                |session| matcher.fits(session.claim(name)),
                R::GroupsOk,
                R::GroupsUnauthorized,
            ),
            Self::HttpMethod(matcher) => verdict(
                matcher.fits(facts.method),
                R::HttpMethodOk,
                R::HttpMethodUnauthorized,
            ),
            Self::HttpPath(matcher) => verdict(
                matcher.fits(facts.path),
                R::HttpPathOk,
                R::HttpPathUnauthorized,
            ),
            Self::CorsPreflight => verdict(facts.preflight, R::CorsRequest, R::NonCorsRequest),
            Self::SourceIp(networks) => {
                let inside = facts
                    .source
                    .is_some_and(|source| address::holds(networks, source));
                verdict(inside, R::SourceIpOk, R::SourceIpUnauthorized)
            }
            Self::ClientCertificate(matcher) => {
                let fits = matches!(facts.certificate, ClientCertificate::Valid(shown) if matcher.fits(shown));
                verdict(
                    fits,
                    R::ClientCertificateOk,
                    R::ClientCertificateUnauthorized,
                )
            }
            Self::InvalidClientCertificate => match facts.certificate {
                ClientCertificate::Missing => verdict(
                    true,
                    R::ClientCertificateRequired,
                    R::ValidClientCertificate,
                ),
                ClientCertificate::Invalid => {
                    verdict(true, R::InvalidClientCertificate, R::ValidClientCertificate)
                }
                ClientCertificate::NotAsked | ClientCertificate::Valid(_) => verdict(
                    false,
                    R::InvalidClientCertificate,
                    R::ValidClientCertificate,
                ),
            },
            Self::Date(window) => verdict(window.holds(facts.now), R::DateOk, R::DateUnauthorized),
            Self::DayOfWeek(days) => verdict(
                days.holds(facts.now),
                R::DayOfWeekOk,
                R::DayOfWeekUnauthorized,
            ),
            Self::TimeOfDay(window) => verdict(
                window.holds(facts.now),
                R::TimeOfDayOk,
                R::TimeOfDayUnauthorized,
            ),
            Self::PomeriumRoutes => verdict(false, R::PomeriumRoute, R::NonPomeriumRoute),
        }
    }

    /// Whether the question is about the visitor.
    pub(super) const fn asks_for_identity(&self) -> bool {
        matches!(
            self,
            Self::AuthenticatedUser
                | Self::Email(_)
                | Self::Domain(_)
                | Self::User(_)
                | Self::Claim(..)
                | Self::Groups(..)
        )
    }

    /// Whether the question is about the user's email address.
    pub(super) fn asks_for_email(&self) -> bool {
        match self {
            Self::Email(_) | Self::Domain(_) => true,
            Self::Claim(name, _) => name.eq_ignore_ascii_case("email"),
            _ => false,
        }
    }

    /// The claim that the question is about.
    pub(super) const fn claim(&self) -> Option<(&str, &ListMatcher)> {
        match self {
            Self::Claim(name, matcher) | Self::Groups(name, matcher) => {
                Some((name.as_str(), matcher))
            }
            _ => None,
        }
    }
}

const fn verdict(holds: bool, yes: Reason, no: Reason) -> Verdict {
    Verdict {
        holds,
        reasons: Reasons::one(if holds { yes } else { no }),
    }
}

/// A question about the visitor: without a session it does not hold, whatever its matcher.
fn of_user(
    facts: &Facts<'_>,
    fits: impl FnOnce(&Session) -> bool,
    yes: Reason,
    no: Reason,
) -> Verdict {
    match facts.session {
        None => verdict(false, yes, Reason::UserUnauthenticated),
        Some(session) => verdict(fits(session), yes, no),
    }
}

/// The domain of an address with exactly one `@` and something on both sides.
fn domain(email: &str) -> Option<&str> {
    let (local, domain) = email.split_once('@')?;
    (!local.is_empty() && !domain.is_empty() && !domain.contains('@')).then_some(domain)
}
