//! Programs that come without a browser.

use crate::config::file_map::FileMap;
use crate::config::{BearerFormat, ProviderSettings, Route};
use crate::diagnostics::{Findings, quoted};

const FORMATS: [(&str, BearerFormat); 3] = [
    ("default", BearerFormat::Session),
    ("idp_access_token", BearerFormat::AccessToken),
    ("idp_identity_token", BearerFormat::IdToken),
];

/// The key with the audiences of access tokens.
const AUDIENCES: &str = "idp_access_token_allowed_audiences";
/// The key with the hosts of programs.
const HOSTS: &str = "programmatic_redirect_domain_whitelist";
/// Programs on the person's own machine, as in Pomerium.
const LOCALHOST: &str = "localhost";

impl BearerFormat {
    /// `bearer_token_format`, at the top of the file or of a route.
    pub(in crate::config) fn read(map: &FileMap<'_>, findings: &mut Findings) -> Option<Self> {
        map.word(
            "bearer_token_format",
            &FORMATS,
            "bearer_token_format_",
            findings,
        )
    }
}

/// Hosts to which sessions of programs may be sent.
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

/// Audiences of access tokens.
pub(super) fn read_audiences(file: &FileMap<'_>, findings: &mut Findings) -> Vec<String> {
    file.strings(AUDIENCES, findings).unwrap_or_default()
}

/// An access token for nobody in particular was perhaps given to another application, which could then act as whoever uses
/// it.
pub(super) fn check_audiences(
    file: &FileMap<'_>,
    provider: Option<&ProviderSettings>,
    common: BearerFormat,
    routes: &[Route],
    findings: &mut Findings,
) {
    let formats = routes.iter().map(|route| route.bearer);
    let takes = std::iter::once(common)
        .chain(formats)
        .any(|format| format == BearerFormat::AccessToken);
    let none = provider.is_none_or(|provider| provider.access_token_audiences.is_empty());
    if takes && none {
        findings
            .problem(
                &file.path_of(AUDIENCES),
                "`bearer_token_format: idp_access_token` needs `idp_access_token_allowed_audiences`",
            )
            .help("name the `aud` that the provider puts into access tokens for this application");
    }
}
