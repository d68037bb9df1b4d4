//! `user`: the identity provider's identifier of the user.

use serde_json::Value;

use crate::diagnostics::{Findings, KeyPath, quoted};
use crate::policy::criteria::email::is_address;
use crate::policy::criteria::{Argument, Criterion, CriterionKind, describe_user, user_verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::reason::Reason;
use crate::policy::schema::reference;
use crate::policy::string_matcher::StringMatcher;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Holds when the user's identifier matches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UserCriterion(StringMatcher);

impl CriterionKind for UserCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "user",
        topic: Topic::User,
        about: "The identity provider's identifier of the user (the claim `sub`) matches",
        argument: "a [string matcher](#string-matchers)",
        example: "user: {is: 8f14e45f}",
    };
    const HOLDS: Reason = Reason::UserOk;
    const FAILS: Reason = Reason::UserUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        let matcher = StringMatcher::read(argument.value, argument.path, findings, |user| user)?;
        for user in matcher.compared_strings() {
            warn_of_address(user, argument.path, findings);
        }
        Some(Self(matcher))
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        user_verdict::<Self>(facts, |session| self.0.is_match(&session.subject))
    }

    fn to_argument(&self) -> Value {
        self.0.to_value()
    }

    fn describe_fact(&self, _: &Facts<'_>, shown: Option<&Session>) -> String {
        describe_user(shown, |session| session.subject.clone())
    }

    fn schema() -> Value {
        reference("string_matcher")
    }
}

/// Warns about `user: alice@example.com`: hardly any provider's identifiers are addresses.
fn warn_of_address(user: &str, path: &KeyPath, findings: &mut Findings) {
    if is_address(user) {
        findings
            .warning(
                path,
                format!(
                    "`user` is the identity provider's identifier (`sub`), and {} looks like an email address",
                    quoted(user)
                ),
            )
            .help("write `email` instead of `user`, unless the provider's identifiers are addresses");
    }
}

impl UserCriterion {
    /// Returns the strings of all conditions.
    pub(crate) fn constants(&self) -> impl Iterator<Item = &str> {
        self.0.constants()
    }
}

impl Criterion {
    /// Returns `user: {is: …}`.
    pub(crate) fn user_is(user: &str) -> Self {
        Self::User(UserCriterion(StringMatcher::is(user.to_owned())))
    }
}
