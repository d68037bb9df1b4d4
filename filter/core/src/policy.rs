//! The policy language (Pomerium's PPL), compiled once when the file is read and evaluated without allocation.

mod address;
mod certificate;
mod criterion;
mod list;
mod matcher;
mod print;
mod read;
mod reason;
mod time;
mod trace;
pub mod words;

use crate::http::path::without_decoded_parameters;
pub use certificate::CertificateMatcher;
pub use criterion::{Criterion, Facts};
pub use list::ListMatcher;
pub use matcher::StringMatcher;
pub use reason::{Reason, Reasons};
pub use time::{DateWindow, TimeWindow, Weekdays};
pub use trace::{CriterionTrace, TermTrace, Trace};

/// Who may use a route.
///
/// `allow` and `deny` are each true when one of their terms is. Nothing is allowed by being left out: no terms, no truth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    allow: Vec<Term>,
    deny: Vec<Term>,
}

/// One operator with its criteria; never empty, because an empty list contributes no term.
#[derive(Clone, Debug, PartialEq)]
struct Term {
    operator: Operator,
    criteria: Vec<Criterion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    /// All hold.
    And,
    /// At least one holds.
    Or,
    /// None holds.
    Not,
    /// At least one does not hold.
    Nor,
}

/// Proof that a policy allowed one request. Only [`Policy::decide`] makes it, and nothing is forwarded without it.
#[derive(Debug)]
pub struct Permit(());

/// What a policy says of a request.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// The upstream may see it.
    Allow(Permit),
    /// It depends on who asks, and nobody is signed in.
    SignIn(Reasons),
    /// No, and signing in again would not change it.
    Deny(Reasons),
}

impl Decision {
    /// The one of two that lets fewer people in.
    fn stricter(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Deny(_), _) | (Self::SignIn(_), Self::Allow(_)) => self,
            (_, Self::Deny(_) | Self::SignIn(_)) => other,
            (Self::Allow(_), Self::Allow(_)) => self,
        }
    }
}

/// A truth value with the reasons that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    holds: bool,
    reasons: Reasons,
}

impl Policy {
    /// Judges a request. Applications disagree about what follows a `;` in a path, so that it is judged with and without
    /// it, and the stricter decision counts.
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

    /// Judges a request by the letters of its path.
    fn decide_as_written(&self, facts: &Facts<'_>) -> Decision {
        let allow = any(self.allow.iter().map(|term| term.judge(facts)));
        let deny = any(self.deny.iter().map(|term| term.judge(facts)));
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

    /// The claims that the policy asks for, each with what it asks.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &ListMatcher)> {
        self.criteria().filter_map(Criterion::claim)
    }

    /// Whether any criterion asks where the client comes from.
    #[must_use]
    pub fn asks_for_address(&self) -> bool {
        self.criteria()
            .any(|criterion| matches!(criterion, Criterion::SourceIp(_)))
    }

    /// Whether any criterion asks for the user's email address or its domain.
    #[must_use]
    pub(crate) fn asks_for_email(&self) -> bool {
        self.criteria().any(Criterion::asks_for_email)
    }

    /// Names the claim in which the provider tells a visitor's groups; `groups` unless it is said.
    pub(crate) fn set_groups_claim(&mut self, name: &str) {
        let terms = self.allow.iter_mut().chain(&mut self.deny);
        for criterion in terms.flat_map(|term| &mut term.criteria) {
            if let Criterion::Groups(claim, _) = criterion {
                name.clone_into(claim);
            }
        }
    }

    /// Whether any criterion asks for the client's certificate.
    #[must_use]
    pub fn asks_for_certificate(&self) -> bool {
        self.criteria().any(|criterion| {
            matches!(
                criterion,
                Criterion::ClientCertificate(_) | Criterion::InvalidClientCertificate
            )
        })
    }

    fn criteria(&self) -> impl Iterator<Item = &Criterion> {
        self.allow
            .iter()
            .chain(&self.deny)
            .flat_map(|term| &term.criteria)
    }

    /// Whether any criterion asks who the visitor is, so that a provider and a session are needed.
    #[must_use]
    pub fn asks_for_identity(&self) -> bool {
        self.criteria().any(Criterion::asks_for_identity)
    }
}

impl Term {
    fn judge(&self, facts: &Facts<'_>) -> Verdict {
        let results = self.criteria.iter().map(|criterion| criterion.judge(facts));
        match self.operator {
            Operator::And => all(results),
            Operator::Or => any(results),
            Operator::Not => all(results.map(Verdict::flip)),
            Operator::Nor => any(results.map(Verdict::flip)),
        }
    }
}

impl Verdict {
    /// The opposite for the same reasons.
    fn flip(self) -> Self {
        Self {
            holds: !self.holds,
            ..self
        }
    }
}

/// True with the reasons of the true ones, or false with the reasons of all.
fn any(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let (mut holding, mut failing, mut holds) = (Reasons::NONE, Reasons::NONE, false);
    for verdict in verdicts {
        if verdict.holds {
            holds = true;
            holding = holding.and(verdict.reasons);
        } else {
            failing = failing.and(verdict.reasons);
        }
    }
    Verdict {
        holds,
        reasons: if holds { holding } else { failing },
    }
}

/// True with the reasons of all, or false with the reasons of the false ones.
fn all(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    any(verdicts.map(Verdict::flip)).flip()
}

#[cfg(test)]
mod tests;
