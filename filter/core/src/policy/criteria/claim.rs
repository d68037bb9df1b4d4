//! `claim/NAME`: the values of one claim.

use std::fmt::Write as _;

use serde_json::Value;

use crate::diagnostics::Findings;
use crate::policy::criteria::{Argument, Criterion, CriterionKind, describe_user, user_verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::list_matcher::ListMatcher;
use crate::policy::reason::Reason;
use crate::policy::schema::reference;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Holds when the values of the named claim match.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClaimCriterion {
    name: String,
    matcher: ListMatcher,
}

impl CriterionKind for ClaimCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "claim",
        topic: Topic::User,
        about: "One of the user's claims matches. The claim's name follows a slash, as in `claim/NAME`; the names of a \
                nested claim are joined by dots, and case does not matter. A missing claim is an empty list",
        argument: "a [list matcher](#list-matchers)",
        example: "claim/realm_access.roles: {has: operator}",
    };
    const HOLDS: Reason = Reason::ClaimOk;
    const FAILS: Reason = Reason::ClaimUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        warn_of_odd_name(argument, findings);
        let matcher = ListMatcher::read(argument.value, argument.path, findings)?;
        Some(Self {
            name: argument.sub_key.to_owned(),
            matcher,
        })
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        user_verdict::<Self>(facts, |session| {
            self.matcher.is_match(session.claim(&self.name))
        })
    }

    fn key(&self) -> String {
        format!("claim/{}", self.name)
    }

    fn to_argument(&self) -> Value {
        self.matcher.to_value()
    }

    fn describe_fact(&self, _: &Facts<'_>, shown: Option<&Session>) -> String {
        describe_claim(shown, &self.name)
    }

    fn schema() -> Value {
        let mut schema = reference("list_matcher");
        schema["description"] = "Names no claim, and never holds: write `claim/NAME`".into();
        schema["deprecated"] = true.into();
        schema
    }

    fn claim(&self) -> Option<(&str, &ListMatcher)> {
        Some((&self.name, &self.matcher))
    }

    fn is_about_email(&self) -> bool {
        self.name.eq_ignore_ascii_case("email")
    }
}

impl Criterion {
    /// Returns `claim/NAME: {has: …}`.
    pub(crate) fn claim_has(name: &str, value: &Value) -> Self {
        Self::Claim(ClaimCriterion {
            name: name.to_owned(),
            matcher: ListMatcher::has(value.clone()),
        })
    }
}

fn warn_of_odd_name(argument: &Argument<'_>, findings: &mut Findings) {
    let name = argument.sub_key;
    if name.is_empty() {
        findings
            .warning(
                argument.path,
                "the name of the claim is missing, so this never holds",
            )
            .help("write `claim/NAME`");
    } else if name.contains('/') && !name.contains("://") && !name.contains('.') {
        findings
            .warning(
                argument.path,
                format!("`{name}` is a single name: the names of nested claims are joined by dots"),
            )
            .help(format!(
                "write `claim/{}` for a nested claim",
                name.replace('/', ".")
            ));
    }
}

/// How many values of a claim an explanation shows: a user may be in hundreds of groups.
const MAX_VALUES: usize = 20;

/// Describes the values of a claim of the signed-in user.
pub(super) fn describe_claim(shown: Option<&Session>, name: &str) -> String {
    describe_user(shown, |session| {
        let values = session.claim(name);
        let mut list = String::from("[");
        for (index, value) in values.iter().take(MAX_VALUES).enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            // Writing to a string does not fail.
            let _ = match value.as_str() {
                Some(value) => write!(list, "{comma}{value}"),
                None => write!(list, "{comma}{value}"),
            };
        }
        let hidden = values.len().saturating_sub(MAX_VALUES);
        if hidden > 0 {
            let _ = write!(list, ", and {hidden} more");
        }
        list.push(']');
        list
    })
}
