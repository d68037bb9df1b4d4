//! `http_path`: the request's path.

use serde_json::Value;

use crate::diagnostics::Findings;
use crate::policy::criteria::{Argument, CriterionKind, verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::reason::Reason;
use crate::policy::schema::reference;
use crate::policy::string_matcher::StringMatcher;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Holds when the request's path matches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HttpPathCriterion(StringMatcher);

impl CriterionKind for HttpPathCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "http_path",
        topic: Topic::Request,
        about: "The path, percent-decoded and without its query, matches. A path with a `;` is evaluated both with and \
                without its path parameters, and the stricter decision counts",
        argument: "a [string matcher](#string-matchers)",
        example: "http_path: {starts_with: /api/}",
    };
    const HOLDS: Reason = Reason::HttpPathOk;
    const FAILS: Reason = Reason::HttpPathUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        StringMatcher::read(argument.value, argument.path, findings, |path| path).map(Self)
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        verdict::<Self>(self.0.is_match(facts.path))
    }

    fn to_argument(&self) -> Value {
        self.0.to_value()
    }

    fn describe_fact(&self, facts: &Facts<'_>, _: Option<&Session>) -> String {
        facts.path.to_owned()
    }

    fn schema() -> Value {
        reference("string_matcher")
    }
}
