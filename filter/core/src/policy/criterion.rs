//! The single questions that a policy asks.

use super::{Reason, Reasons, StringMatcher, Verdict};
use crate::session::Session;

/// What criteria may look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The live session, if there is one.
    pub session: Option<&'a Session>,
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
}

impl Criterion {
    /// `domain: {is: …}`.
    #[must_use]
    pub(crate) fn domain_is(domain: &str) -> Self {
        Self::Domain(StringMatcher::is(domain.to_ascii_lowercase()))
    }

    pub(super) fn judge(&self, facts: &Facts<'_>) -> Verdict {
        match self {
            Self::Accept => verdict(true, Reason::Accept),
            Self::Reject => verdict(false, Reason::Reject),
            Self::AuthenticatedUser => {
                of_user(facts, |_| true, Reason::UserOk, Reason::UserUnauthorized)
            }
            Self::Email(matcher) => {
                let fits =
                    |session: &Session| session.email().is_some_and(|email| matcher.fits(email));
                of_user(facts, fits, Reason::EmailOk, Reason::EmailUnauthorized)
            }
            Self::Domain(matcher) => {
                let fits = |session: &Session| {
                    session
                        .email()
                        .and_then(domain)
                        .is_some_and(|domain| matcher.fits(domain))
                };
                of_user(facts, fits, Reason::DomainOk, Reason::DomainUnauthorized)
            }
        }
    }

    pub(super) const fn asks_for_identity(&self) -> bool {
        !matches!(self, Self::Accept | Self::Reject)
    }
}

const fn verdict(holds: bool, reason: Reason) -> Verdict {
    Verdict {
        holds,
        reasons: Reasons::one(reason),
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
        None => verdict(false, Reason::UserUnauthenticated),
        Some(session) if fits(session) => verdict(true, yes),
        Some(_) => verdict(false, no),
    }
}

/// The domain of an address with exactly one `@` and something on both sides.
fn domain(email: &str) -> Option<&str> {
    let (local, domain) = email.split_once('@')?;
    (!local.is_empty() && !domain.is_empty() && !domain.contains('@')).then_some(domain)
}
