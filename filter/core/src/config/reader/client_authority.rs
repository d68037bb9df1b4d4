//! Reads `downstream_mtls`: client certificates.

use crate::config::file_map::FileMap;
use crate::config::keys::DOWNSTREAM_MTLS;
use crate::config::pem::Content;
use crate::config::{ClientAuthority, Pem};
use crate::diagnostics::Findings;

/// How requests without a valid certificate are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Enforcement {
    /// Every route refuses them.
    #[default]
    PolicyWithDefaultDeny,
    /// The policies decide.
    Policy,
    /// The connection is closed.
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
                "`downstream_mtls` needs the authorities that sign client certificates",
            )
            .help("add `ca_file` or `ca`, or remove `downstream_mtls`");
    }
    let authority = authorities.map(|authorities| ClientAuthority {
        authorities,
        revoked,
        required: enforcement == Enforcement::RejectConnection,
    });
    (authority, enforcement)
}

/// Checks that no intermediate authorities are configured: the authorities of the file sign client certificates themselves,
/// which is Pomerium's default.
fn check_depth(map: &FileMap<'_>, findings: &mut Findings) {
    const KEY: &str = "max_verify_depth";
    if map
        .integer(KEY, 0, u32::MAX, findings)
        .is_some_and(|depth| depth != 1)
    {
        findings
            .problem(&map.path_of(KEY), "`max_verify_depth` can only be 1")
            .help("put the authorities that sign client certificates themselves into `ca_file`, and remove this key");
    }
}
