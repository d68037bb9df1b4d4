//! Reads the settings of API clients, which have no browser.

use crate::config::file_map::FileMap;
use crate::config::{BearerFormat, ProviderSettings};
use crate::diagnostics::{Findings, quoted};

const FORMATS: [(&str, BearerFormat); 3] = [
    ("default", BearerFormat::Session),
    ("idp_access_token", BearerFormat::AccessToken),
    ("idp_identity_token", BearerFormat::IdToken),
];

/// The key for the audiences of access tokens.
const AUDIENCES: &str = "idp_access_token_allowed_audiences";
/// The key for the hosts of API clients.
const HOSTS: &str = "programmatic_redirect_domain_whitelist";
/// The default host, the user's own machine, as in Pomerium.
const LOCALHOST: &str = "localhost";

impl BearerFormat {
    /// Reads `bearer_token_format`, a top-level key and a key of a route.
    pub(in crate::config) fn read(map: &FileMap<'_>, findings: &mut Findings) -> Option<Self> {
        map.word(
            "bearer_token_format",
            &FORMATS,
            "bearer_token_format_",
            findings,
        )
    }
}

/// Reads the hosts to which a session may be sent after a programmatic login.
pub(super) fn read_hosts(file: &FileMap<'_>, findings: &mut Findings) -> Vec<String> {
    let hosts = file.strings(HOSTS, findings);
    let mut hosts = hosts.unwrap_or_else(|| vec![LOCALHOST.to_owned()]);
    hosts.retain(|host| {
        let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        let good = !host.is_empty() && host.bytes().all(fit);
        if !good {
            findings
                .problem(
                    &file.path_of(HOSTS),
                    format!("{} is not a host name", quoted(host)),
                )
                .help("write for example `localhost`, without scheme and port");
        }
        good
    });
    hosts
}

/// Reads the audiences of access tokens.
pub(super) fn read_audiences(file: &FileMap<'_>, findings: &mut Findings) -> Vec<String> {
    file.strings(AUDIENCES, findings).unwrap_or_default()
}

/// Reports access tokens without configured audiences: another application could present a token that it got from a user,
/// and act as that user.
pub(super) fn check_audiences(
    file: &FileMap<'_>,
    provider: Option<&ProviderSettings>,
    findings: &mut Findings,
) {
    if provider.is_none_or(|provider| provider.access_token_audiences.is_empty()) {
        findings
            .problem(
                &file.path_of(AUDIENCES),
                "`bearer_token_format: idp_access_token` needs `idp_access_token_allowed_audiences`",
            )
            .help("write the `aud` of the provider's access tokens for this application");
    }
}
