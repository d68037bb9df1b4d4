//! `invalid_client_certificate`: a client without a valid certificate.

use serde_json::{Value, json};

use crate::diagnostics::Findings;
use crate::http::client_certificate::ClientCertificate;
use crate::policy::criteria::client_certificate::describe_certificate;
use crate::policy::criteria::{Argument, Criterion, CriterionKind, verdict};
use crate::policy::facts::Facts;
use crate::policy::language::{CriterionDoc, Topic};
use crate::policy::reason::{Reason, Reasons};
use crate::policy::verdict::Verdict;
use crate::session::Session;

/// Holds when clients are asked for certificates and this client has no valid one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InvalidClientCertificateCriterion;

impl CriterionKind for InvalidClientCertificateCriterion {
    const DOC: CriterionDoc = CriterionDoc {
        name: "invalid_client_certificate",
        topic: Topic::Certificate,
        about: "Clients are asked for certificates (`downstream_mtls`), and this client has presented none or an invalid one; \
                the reason for a missing certificate is `client-certificate-required`",
        argument: "any value; write `true`",
        example: "invalid_client_certificate: true",
    };
    const HOLDS: Reason = Reason::InvalidClientCertificate;
    const FAILS: Reason = Reason::ValidClientCertificate;

    fn read(_: &Argument<'_>, _: &mut Findings) -> Option<Self> {
        Some(Self)
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Verdict {
        match facts.certificate {
            ClientCertificate::Missing => Verdict {
                holds: true,
                reasons: Reasons::one(Reason::ClientCertificateRequired),
            },
            ClientCertificate::Invalid => verdict::<Self>(true),
            ClientCertificate::NotAsked | ClientCertificate::Valid(_) => verdict::<Self>(false),
        }
    }

    fn to_argument(&self) -> Value {
        json!(true)
    }

    fn describe_fact(&self, facts: &Facts<'_>, _: Option<&Session>) -> String {
        describe_certificate(facts)
    }

    fn schema() -> Value {
        json!({})
    }
}

impl Criterion {
    /// Returns `invalid_client_certificate: true`.
    pub(crate) const fn invalid_client_certificate() -> Self {
        Self::InvalidClientCertificate(InvalidClientCertificateCriterion)
    }
}
