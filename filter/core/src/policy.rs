//! The policy language (Pomerium's PPL), compiled once when the file is read and evaluated without allocation.

mod criteria;
mod facts;
pub mod language;
mod list_matcher;
mod operator;
mod print;
mod read;
mod reason;
pub mod schema;
mod string_matcher;
mod trace;
mod verdict;

pub(crate) use criteria::{
    Criterion, warn_of_look_alike, warn_of_other_domain, warn_of_wildcard_user,
};
pub use facts::Facts;
pub(crate) use list_matcher::ListMatcher;
pub use reason::{Reason, Reasons};
pub use trace::{CriterionTrace, TermTrace, Trace};

use crate::http::path::without_decoded_parameters;
use language::Topic;
use operator::Operator;
use verdict::{Verdict, all, any};

/// The rules that say who may use a route.
///
/// `allow` and `deny` each hold when one of their terms does. A policy without terms allows no request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    allow: Vec<Term>,
    deny: Vec<Term>,
}

/// One operator with its criteria. A term is never empty, because an empty list contributes no term.
#[derive(Clone, Debug, PartialEq)]
struct Term {
    operator: Operator,
    criteria: Vec<Criterion>,
}

/// Proof that a policy allowed one request. Only [`Policy::decide`] makes one, and no request is forwarded without it.
#[derive(Debug)]
pub struct Permit(());

/// The result of a policy for one request.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// The request may be forwarded.
    Allow(Permit),
    /// The decision depends on the user, and no user is signed in.
    SignIn(Reasons),
    /// The request is refused, and signing in again would not change that.
    Deny(Reasons),
}

impl Decision {
    /// Returns the stricter of two decisions.
    fn stricter(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Deny(_), _) | (Self::SignIn(_), Self::Allow(_)) => self,
            (_, Self::Deny(_) | Self::SignIn(_)) => other,
            (Self::Allow(_), Self::Allow(_)) => self,
        }
    }
}

impl Policy {
    /// Decides about a request. Applications disagree about the meaning of a `;` in a path, so that such a path is
    /// evaluated both with and without its path parameters, and the stricter decision counts.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let decision = self.decide_as_written(facts);
        match without_decoded_parameters(facts.path) {
            Some(path) => {
                let path = path.as_str();
                decision.stricter(self.decide_as_written(&Facts { path, ..*facts }))
            }
            None => decision,
        }
    }

    /// Decides about a request with its path exactly as given.
    fn decide_as_written(&self, facts: &Facts<'_>) -> Decision {
        let allow = any(self.allow.iter().map(|term| term.evaluate(facts)));
        let deny = any(self.deny.iter().map(|term| term.evaluate(facts)));
        let reasons = allow.reasons.and(deny.reasons);
        // Signing in does not help a client that lacks its certificate.
        if deny.reasons.contains(Reason::ClientCertificateRequired)
            || deny.reasons.contains(Reason::InvalidClientCertificate)
        {
            return Decision::Deny(deny.reasons);
        }
        if reasons.contains(Reason::UserUnauthenticated) {
            Decision::SignIn(reasons)
        } else if deny.holds {
            Decision::Deny(deny.reasons)
        } else if allow.holds {
            Decision::Allow(Permit(()))
        } else {
            Decision::Deny(allow.reasons)
        }
    }

    /// Returns whether the policy allows any request at all.
    #[must_use]
    pub const fn can_allow(&self) -> bool {
        !self.allow.is_empty()
    }

    /// Returns the claims that the policy is about, each with its matcher.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (&str, &ListMatcher)> {
        self.criteria().filter_map(Criterion::claim)
    }

    /// Returns the strings with which user ids are compared.
    pub(crate) fn users(&self) -> impl Iterator<Item = &str> {
        self.criteria().flat_map(|criterion| match criterion {
            Criterion::User(user) => user.constants().collect(),
            _ => Vec::new(),
        })
    }

    /// Returns whether any criterion is about the client's address.
    #[must_use]
    pub fn asks_for_address(&self) -> bool {
        self.has_topic(Topic::Address)
    }

    /// Returns whether any criterion is about the client's certificate.
    #[must_use]
    pub fn asks_for_certificate(&self) -> bool {
        self.has_topic(Topic::Certificate)
    }

    /// Returns whether any criterion is about the user, so that a provider and a session are needed.
    #[must_use]
    pub fn asks_for_identity(&self) -> bool {
        self.has_topic(Topic::User)
    }

    /// Returns whether any criterion is about the user's email address or its domain.
    #[must_use]
    pub(crate) fn asks_for_email(&self) -> bool {
        self.criteria().any(Criterion::is_about_email)
    }

    fn has_topic(&self, topic: Topic) -> bool {
        self.criteria()
            .any(|criterion| criterion.doc().topic == topic)
    }

    fn criteria(&self) -> impl Iterator<Item = &Criterion> {
        self.allow
            .iter()
            .chain(&self.deny)
            .flat_map(|term| &term.criteria)
    }

    /// Sets the claim in which the provider lists a user's groups.
    pub(crate) fn set_groups_claim(&mut self, name: &str) {
        let terms = self.allow.iter_mut().chain(&mut self.deny);
        for criterion in terms.flat_map(|term| &mut term.criteria) {
            if let Criterion::Groups(groups) = criterion {
                groups.set_claim(name);
            }
        }
    }

    /// Adds an `or` term to `allow`, before the others, for criteria from outside the policy (Pomerium's older route
    /// keys).
    pub(crate) fn allow_any_of(&mut self, criteria: Vec<Criterion>) {
        if !criteria.is_empty() {
            let operator = Operator::Or;
            self.allow.insert(0, Term { operator, criteria });
        }
    }

    /// Adds an `or` term to `deny`.
    pub(crate) fn deny_any_of(&mut self, criteria: Vec<Criterion>) {
        if !criteria.is_empty() {
            let operator = Operator::Or;
            self.deny.push(Term { operator, criteria });
        }
    }
}

impl Term {
    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        let verdicts = self.criteria.iter();
        let verdicts = verdicts.map(|criterion| criterion.evaluate(facts));
        match self.operator {
            Operator::And => all(verdicts),
            Operator::Or => any(verdicts),
            Operator::Not => all(verdicts.map(Verdict::negate)),
            Operator::Nor => any(verdicts.map(Verdict::negate)),
        }
    }
}

#[cfg(test)]
mod tests;
