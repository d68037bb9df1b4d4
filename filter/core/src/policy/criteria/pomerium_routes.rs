//! `pomerium_routes`: never holds, because policies do not judge the proxy's own pages.

use serde_json::{Value, json};

use crate::diagnostics::Findings;
use crate::policy::criteria::{Argument, CriterionKind, verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::reason::Reason;
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Never holds: a request for one of the proxy's own pages does not reach a policy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PomeriumRoutesCriterion;

impl CriterionKind for PomeriumRoutesCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "pomerium_routes",
        topic: Topic::Constant,
        about: "Never holds, because policies do not apply to the proxy's own pages; accepted from Pomerium's files with a \
                warning",
        argument: "any value",
        example: "pomerium_routes: true",
    };
    const HOLDS: Reason = Reason::PomeriumRoute;
    const FAILS: Reason = Reason::NonPomeriumRoute;

    fn read(argument: &Argument<'_>, findings: &mut Findings) -> Option<Self> {
        findings
            .warning(
                argument.path,
                "`pomerium_routes` never holds: policies do not apply to the proxy's own pages",
            )
            .help("remove it");
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
        json!({"deprecated": true})
    }
}
