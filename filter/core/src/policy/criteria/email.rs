//! `email`: the user's email address.

use serde_json::Value;

use crate::diagnostics::{Findings, KeyPath};
use crate::policy::criteria::{Argument, Criterion, CriterionKind, describe_user, user_verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::reason::Reason;
use crate::policy::schema::reference;
use crate::policy::string_matcher::StringMatcher;
use crate::policy::verdict::Verdict;
use crate::session::{Session, lower_case_domain};

/// Holds when the user's verified email address matches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EmailCriterion(StringMatcher);

impl CriterionKind for EmailCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "email",
        topic: Topic::User,
        about: "The user's verified email address matches; a user without one has the empty string",
        argument: "a [string matcher](#string-matchers)",
        example: "email: {is: alice@example.com}",
    };
    const HOLDS: Reason = Reason::EmailOk;
    const FAILS: Reason = Reason::EmailUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        let matcher = StringMatcher::read(argument.value, argument.path, findings, |email| email);
        warn_of_loose_end(argument.value, argument.path, findings);
        matcher.map(|matcher| Self(matcher.for_email()))
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        // The empty string for a missing address is Pomerium's choice.
        user_verdict::<Self>(facts, |session| {
            self.0.is_match(session.email().unwrap_or_default())
        })
    }

    fn to_argument(&self) -> Value {
        self.0.to_value()
    }

    fn describe_fact(&self, _: &Facts<'_>, shown: Option<&Session>) -> String {
        describe_email(shown)
    }

    fn schema() -> Value {
        reference("string_matcher")
    }

    fn is_about_email(&self) -> bool {
        true
    }
}

impl Criterion {
    /// Returns `email: {is: …}`.
    pub(crate) fn email_is(email: &str) -> Self {
        Self::Email(EmailCriterion(StringMatcher::is(lower_case_domain(
            email.to_owned(),
        ))))
    }
}

/// Describes the email address of the signed-in user.
pub(super) fn describe_email(shown: Option<&Session>) -> String {
    describe_user(shown, |session| {
        session
            .email()
            .map_or_else(|| "no verified email address".to_owned(), str::to_owned)
    })
}

/// Warns about `ends_with: example.com`, which also matches `evil-example.com`.
pub(super) fn warn_of_loose_end(value: &Value, path: &KeyPath, findings: &mut Findings) {
    let end = value.get("ends_with").and_then(Value::as_str);
    if let Some(end) = end
        && !end.starts_with(['@', '.'])
    {
        findings
            .warning(
                &path.key("ends_with"),
                format!("`{end}` also matches the end of longer domain names"),
            )
            .help(format!(
                "write `@{end}` for addresses, or `domain: {{is: {end}}}`"
            ));
    }
}
