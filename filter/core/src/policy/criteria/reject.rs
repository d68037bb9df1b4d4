//! `reject`: never holds.

use serde_json::{Value, json};

use crate::diagnostics::Findings;
use crate::policy::criteria::{Argument, CriterionKind, verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::reason::Reason;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Never holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RejectCriterion;

impl CriterionKind for RejectCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "reject",
        topic: Topic::Constant,
        about: "Never holds",
        argument: "any value; write `true`",
        example: "reject: true",
    };
    const HOLDS: Reason = Reason::Reject;
    const FAILS: Reason = Reason::Reject;

    fn read(_: &Argument<'_>, _: &mut Findings) -> Option<Self> {
        Some(Self)
    }

    fn evaluate(&self, _: &Facts<'_>) -> Verdict {
        verdict::<Self>(false)
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
