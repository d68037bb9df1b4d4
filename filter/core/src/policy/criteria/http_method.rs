//! `http_method`: the request's method.

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

/// Holds when the request's method matches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HttpMethodCriterion(StringMatcher);

impl CriterionKind for HttpMethodCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "http_method",
        topic: Topic::Request,
        about: "The HTTP method matches; methods are case-sensitive",
        argument: "a [string matcher](#string-matchers)",
        example: "http_method: {in: [GET, HEAD]}",
    };
    const HOLDS: Reason = Reason::HttpMethodOk;
    const FAILS: Reason = Reason::HttpMethodUnauthorized;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        StringMatcher::read(argument.value, argument.path, findings, |method| method).map(Self)
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        verdict::<Self>(self.0.is_match(facts.method))
    }

    fn to_argument(&self) -> Value {
        self.0.to_value()
    }

    fn describe_fact(&self, facts: &Facts<'_>, _: Option<&Session>) -> String {
        facts.method.to_owned()
    }

    fn schema() -> Value {
        reference("string_matcher")
    }
}
