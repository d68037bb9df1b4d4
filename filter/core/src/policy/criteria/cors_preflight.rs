//! `cors_preflight`: a browser's preflight request.

use serde_json::{Value, json};

use crate::diagnostics::Findings;
use crate::policy::criteria::{Argument, Criterion, CriterionKind, verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::reason::Reason;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Holds when the request is a CORS preflight.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CorsPreflightCriterion;

impl CriterionKind for CorsPreflightCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "cors_preflight",
        topic: Topic::Request,
        about: "The request is a CORS preflight: `OPTIONS` with the headers `Origin` and `Access-Control-Request-Method`. \
                Browsers send preflights without cookies",
        argument: "any value; write `true`",
        example: "cors_preflight: true",
    };
    const HOLDS: Reason = Reason::CorsRequest;
    const FAILS: Reason = Reason::NonCorsRequest;

    fn read(_: &Argument<'_>, _: &mut Findings) -> Option<Self> {
        Some(Self)
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        verdict::<Self>(facts.preflight)
    }

    fn to_argument(&self) -> Value {
        json!(true)
    }

    fn describe_fact(&self, facts: &Facts<'_>, _: Option<&Session>) -> String {
        let fact = if facts.preflight {
            "a CORS preflight"
        } else {
            "no CORS preflight"
        };
        fact.to_owned()
    }

    fn schema() -> Value {
        json!({})
    }
}

impl Criterion {
    /// Returns `cors_preflight: true`.
    pub(crate) const fn cors_preflight() -> Self {
        Self::CorsPreflight(CorsPreflightCriterion)
    }
}
