//! `groups`: the user's groups.

use serde_json::Value;

use crate::diagnostics::Findings;
use crate::policy::criteria::claim::describe_claim;
use crate::policy::criteria::{Argument, CriterionKind, user_verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::list_matcher::ListMatcher;
use crate::policy::reason::Reason;
use crate::policy::schema::reference;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// The claim that lists a user's groups, unless `idp_groups_claim` names another.
const DEFAULT_CLAIM: &str = "groups";

/// Holds when the user's groups match.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupsCriterion {
    claim: String,
    matcher: ListMatcher,
}

impl GroupsCriterion {
    /// Sets the claim that lists a user's groups.
    pub(in crate::policy) fn set_claim(&mut self, name: &str) {
        name.clone_into(&mut self.claim);
    }
}

impl CriterionKind for GroupsCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "groups",
        topic: Topic::User,
        about: "The user's groups match. They are the values of the claim that `idp_groups_claim` names, `groups` by default",
        argument: "a [list matcher](#list-matchers)",
        example: "groups: {has: admins}",
    };
    const HOLDS: Reason = Reason::GroupsOk;
    const FAILS: Reason = Reason::GroupsUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        let matcher = ListMatcher::read(argument.value, argument.path, findings)?;
        Some(Self {
            claim: DEFAULT_CLAIM.to_owned(),
            matcher,
        })
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        user_verdict::<Self>(facts, |session| {
            self.matcher.is_match(session.claim(&self.claim))
        })
    }

    fn to_argument(&self) -> Value {
        self.matcher.to_value()
    }

    fn describe_fact(&self, _: &Facts<'_>, shown: Option<&Session>) -> String {
        describe_claim(shown, &self.claim)
    }

    fn schema() -> Value {
        reference("list_matcher")
    }

    fn claim(&self) -> Option<(&str, &ListMatcher)> {
        Some((&self.claim, &self.matcher))
    }
}
