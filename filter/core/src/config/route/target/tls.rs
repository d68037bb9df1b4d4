//! Reads the TLS settings for upstreams.

use crate::config::Pem;
use crate::config::file_map::FileMap;
use crate::config::pem::Content;
use crate::config::route::rewrite::is_authority;
use crate::diagnostics::{Findings, quoted};

/// The TLS settings for upstreams (`tls_*`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UpstreamTls {
    /// Whether the upstream's certificate is not checked (`tls_skip_verify`).
    pub skip_verify: bool,
    /// The server name to send (SNI) and to verify in the certificate, instead of the upstream's host
    /// (`tls_upstream_server_name`, else `tls_server_name`).
    pub server_name: Option<String>,
    /// The only authorities whose signature on the upstream's certificate is accepted (`tls_custom_ca`, `tls_custom_ca_file`).
    pub authorities: Option<Pem>,
    /// The client certificate chain and its private key (`tls_client_cert`, `tls_client_key`).
    pub client: Option<(Pem, Pem)>,
}

impl UpstreamTls {
    pub(super) fn read(map: &FileMap<'_>, findings: &mut Findings) -> Self {
        let skip_verify = map.flag("tls_skip_verify", findings);
        let wins = read_name(map, "tls_upstream_server_name", findings);
        let otherwise = read_name(map, "tls_server_name", findings);
        Self {
            skip_verify,
            server_name: wins.or(otherwise),
            authorities: Pem::read(map, "tls_custom_ca", Content::Certificates, findings),
            client: read_client(map, findings),
        }
    }
}

fn read_client(map: &FileMap<'_>, findings: &mut Findings) -> Option<(Pem, Pem)> {
    let before = findings.problem_count();
    let certificate = Pem::read(map, "tls_client_cert", Content::Certificates, findings);
    let key = Pem::read(map, "tls_client_key", Content::PrivateKey, findings);
    let lonely = match (&certificate, &key) {
        (Some(_), None) => Some(("tls_client_cert", "tls_client_key")),
        (None, Some(_)) => Some(("tls_client_key", "tls_client_cert")),
        _ => None,
    };
    if let Some((given, missing)) = lonely
        && findings.problem_count() == before
    {
        let written = [given.to_owned(), format!("{given}_file")];
        let written = written.iter().find(|key| map.has(key));
        findings
            .problem(
                &map.path_of(written.map_or(given, String::as_str)),
                "a client certificate needs its private key, and a private key its certificate",
            )
            .help(format!("add `{missing}_file` or `{missing}`"));
    }
    certificate.zip(key)
}

/// Reads a server name: a host without a port.
fn read_name(map: &FileMap<'_>, key: &str, findings: &mut Findings) -> Option<String> {
    let text = map.non_empty_string(key, findings)?;
    let fits = !text.contains([':', '[']) && is_authority(&text);
    if !fits {
        findings
            .problem(
                &map.path_of(key),
                format!("{} is not a server name", quoted(&text)),
            )
            .help("write for example `app.internal`");
    }
    fits.then(|| text.to_ascii_lowercase())
}
