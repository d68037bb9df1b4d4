//! `accept`: always holds.

use serde_json::{Value, json};

use crate::diagnostics::Findings;
use crate::policy::criteria::{Argument, Criterion, CriterionKind, verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::reason::Reason;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Always holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AcceptCriterion;

impl CriterionKind for AcceptCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "accept",
        topic: Topic::Constant,
        about: "Always holds: in an `allow` rule it makes the route public",
        argument: "any value; write `true`",
        example: "accept: true",
    };
    const HOLDS: Reason = Reason::Accept;
    const FAILS: Reason = Reason::Accept;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        if *argument.value == Value::Bool(false) {
            findings
                .warning(argument.path, "`accept: false` accepts just as `true` does")
                .help("write `reject: true` to refuse");
        }
        Some(Self)
    }

    fn evaluate(&self, _: &Facts<'_>) -> Verdict {
        verdict::<Self>(true)
    }

    fn to_argument(&self) -> Value {
        json!(true)
    }

    fn describe_fact(&self, _: &Facts<'_>, _: Option<&Session>) -> String {
        String::new()
    }

    fn schema() -> Value {
        json!({})
    }
}

impl Criterion {
    /// Returns `accept: true`.
    pub(crate) const fn accept() -> Self {
        Self::Accept(AcceptCriterion)
    }
}
