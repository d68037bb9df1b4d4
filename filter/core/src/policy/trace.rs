//! Evaluates a policy criterion by criterion, for explanations.

use crate::policy::criteria::Criterion;
use crate::policy::facts::Facts;
use crate::policy::reason::Reasons;
use crate::policy::verdict::any;
use crate::policy::{Policy, Term};
use crate::session::Session;

/// The result of every part of a policy for one request.
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

/// The result of one operator.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TermTrace {
    /// `and`, `or`, `not` or `nor`.
    pub operator: &'static str,
    /// Whether the term holds.
    pub holds: bool,
    /// The results of the term's criteria.
    pub criteria: Vec<CriterionTrace>,
}

/// The result of one criterion.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CriterionTrace {
    /// The criterion as YAML, on one line.
    pub criterion: String,
    /// Whether the criterion holds.
    pub holds: bool,
    /// Why the criterion holds or does not hold.
    pub reasons: Reasons,
    /// The fact that the criterion looks at; empty when it looks at none.
    pub looked_at: String,
}

impl Policy {
    /// Evaluates a request as [`Policy::decide`] does and returns the result of each part.
    ///
    /// `shown` is the session for the description of facts: it may have claims that no policy is about.
    #[must_use]
    pub fn trace(&self, facts: &Facts<'_>, shown: Option<&Session>) -> Trace {
        let trace = |terms: &[Term]| terms.iter().map(|term| term.trace(facts, shown)).collect();
        Trace {
            allow: trace(&self.allow),
            deny: trace(&self.deny),
            reasons: any(self.allow.iter().map(|term| term.evaluate(facts))).reasons,
        }
    }
}

impl Term {
    fn trace(&self, facts: &Facts<'_>, shown: Option<&Session>) -> TermTrace {
        let trace = |criterion: &Criterion| {
            let verdict = criterion.evaluate(facts);
            CriterionTrace {
                criterion: criterion.to_line(),
                holds: verdict.holds,
                reasons: verdict.reasons,
                looked_at: criterion.describe_fact(facts, shown),
            }
        };
        TermTrace {
            operator: self.operator.name(),
            holds: self.evaluate(facts).holds,
            criteria: self.criteria.iter().map(trace).collect(),
        }
    }
}
