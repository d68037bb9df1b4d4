//! `authenticated_user`: any user who is signed in.

use serde_json::{Value, json};

use crate::diagnostics::Findings;
use crate::policy::criteria::{Argument, Criterion, CriterionKind, describe_user, user_verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::reason::Reason;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Holds for every user who is signed in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AuthenticatedUserCriterion;

impl CriterionKind for AuthenticatedUserCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "authenticated_user",
        topic: Topic::User,
        about: "The user is signed in",
        argument: "any value; write `true`",
        example: "authenticated_user: true",
    };
    const HOLDS: Reason = Reason::UserOk;
    const FAILS: Reason = Reason::UserUnauthorized;

    fn read(_: &Argument<'_>, _: &mut Findings) -> Option<Self> {
        Some(Self)
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        user_verdict::<Self>(facts, |_| true)
    }

    fn to_argument(&self) -> Value {
        json!(true)
    }

    fn describe_fact(&self, _: &Facts<'_>, shown: Option<&Session>) -> String {
        describe_user(shown, |session| session.subject.clone())
    }

    fn schema() -> Value {
        json!({})
    }
}

impl Criterion {
    /// Returns `authenticated_user: true`.
    pub(crate) const fn authenticated_user() -> Self {
        Self::AuthenticatedUser(AuthenticatedUserCriterion)
    }
}
