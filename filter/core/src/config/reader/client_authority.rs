//! `downstream_mtls`: certificates of clients.

use crate::config::file_map::FileMap;
use crate::config::keys::DOWNSTREAM_MTLS;
use crate::config::pem::Content;
use crate::config::{ClientAuthority, Pem};
use crate::diagnostics::Findings;

/// What becomes of requests without a valid certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Enforcement {
    /// Every route refuses them.
    #[default]
    PolicyWithDefaultDeny,
    /// The policies decide.
    Policy,
    /// The connection is not made.
    RejectConnection,
}

const ENFORCEMENTS: [(&str, Enforcement); 3] = [
    (
        "policy_with_default_deny",
        Enforcement::PolicyWithDefaultDeny,
    ),
    ("policy", Enforcement::Policy),
    ("reject_connection", Enforcement::RejectConnection),
];

pub(super) fn read_client_authority(
    file: &FileMap<'_>,
    findings: &mut Findings,
) -> (Option<ClientAuthority>, Enforcement) {
    let Some(map) = file.map_below("downstream_mtls", DOWNSTREAM_MTLS, findings) else {
        return (None, Enforcement::default());
    };
    let before = findings.problem_count();
    let authorities = Pem::read(&map, "ca", Content::Certificates, findings);
    let revoked = Pem::read(&map, "crl", Content::RevocationLists, findings);
    let enforcement = map
        .word("enforcement", &ENFORCEMENTS, "mtls_enforcement_", findings)
        .unwrap_or_default();
    check_depth(&map, findings);
    if authorities.is_none() && findings.problem_count() == before {
        findings
            .problem(
                map.key_path(),
                "nothing says which authorities sign clients' certificates",
            )
            .help("add `ca_file` or `ca`, or take `downstream_mtls` out");
    }
    let authority = authorities.map(|authorities| ClientAuthority {
        authorities,
        revoked,
        required: enforcement == Enforcement::RejectConnection,
    });
    (authority, enforcement)
}

/// Certificates are signed by an authority of the file itself, without another one between: Pomerium's default.
fn check_depth(map: &FileMap<'_>, findings: &mut Findings) {
    const KEY: &str = "max_verify_depth";
    if map
        .integer(KEY, 0, u32::MAX, findings)
        .is_some_and(|depth| depth != 1)
    {
        findings
            .problem(&map.path_of(KEY), "`max_verify_depth` can only be 1")
            .help("put the authorities that sign clients' certificates themselves into `ca_file`, and take this out");
    }
}
