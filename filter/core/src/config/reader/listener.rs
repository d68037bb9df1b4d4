//! Reads where and how the proxy listens.

use std::time::Duration;

use crate::config::file_map::FileMap;
use crate::config::keys::CERTIFICATE;
use crate::config::pem::Content;
use crate::config::{ClientAuthority, Listener, Pem, ServerCertificate};
use crate::diagnostics::Findings;

/// The most proxies in front of one server: a larger number is a typing error.
const MAX_TRUSTED_HOPS: u32 = 16;
/// The default of `timeout_idle`, as in Pomerium.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

pub(super) fn read_listener(
    file: &FileMap<'_>,
    client_authority: Option<ClientAuthority>,
    findings: &mut Findings,
) -> Listener {
    let insecure = file.flag("insecure_server", findings);
    if insecure && client_authority.is_some() {
        findings
            .problem(
                &file.path_of("downstream_mtls"),
                "client certificates need TLS, but the listener uses plain HTTP",
            )
            .help("remove `insecure_server` or `downstream_mtls`");
    }
    let idle_timeout = file.duration("timeout_idle", findings);
    Listener {
        address: read_address(file, findings),
        insecure,
        certificates: read_certificates(file, findings),
        trusted_hops: file
            .integer("xff_num_trusted_hops", 0, MAX_TRUSTED_HOPS, findings)
            .unwrap_or_default(),
        proxy_protocol: file.flag("use_proxy_protocol", findings),
        idle_timeout: idle_timeout.unwrap_or(DEFAULT_IDLE_TIMEOUT),
        client_authority,
    }
}

fn read_address(file: &FileMap<'_>, findings: &mut Findings) -> String {
    let address = file
        .non_empty_string("address", findings)
        .unwrap_or_else(|| ":443".to_owned());
    check_address(file, "address", &address, findings);
    address
}

/// Adds a problem unless the value is `host:port` or `:port`.
pub(super) fn check_address(file: &FileMap<'_>, key: &str, address: &str, findings: &mut Findings) {
    let port = address
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() {
        findings
            .problem(
                &file.path_of(key),
                format!(
                    "{} is not a listening address",
                    crate::diagnostics::quoted(address)
                ),
            )
            .help("write `:8443` or `127.0.0.1:8443`");
    }
}

fn read_certificates(file: &FileMap<'_>, findings: &mut Findings) -> Vec<ServerCertificate> {
    let first = read_certificate(file, "certificate", findings);
    let listed = file.maps_below("certificates", CERTIFICATE, findings);
    let listed = listed.iter().filter_map(|entry| {
        let certificate = Pem::read_either(entry, "cert", Content::Certificates, findings);
        let key = Pem::read_either(entry, "key", Content::PrivateKey, findings);
        if !(entry.has("cert") && entry.has("key")) {
            findings
                .problem(entry.key_path(), "each item needs `cert` and `key`")
                .help("write the paths of two PEM files");
        }
        certificate
            .zip(key)
            .map(|(certificate, key)| ServerCertificate { certificate, key })
    });
    first.into_iter().chain(listed).collect()
}

/// Reads the certificate chain of this key, such as `certificate`, and its private key: the same name with `_key`.
pub(super) fn read_certificate(
    file: &FileMap<'_>,
    name: &str,
    findings: &mut Findings,
) -> Option<ServerCertificate> {
    let before = findings.problem_count();
    let key_name = format!("{name}_key");
    let certificate = Pem::read(file, name, Content::Certificates, findings);
    let key = Pem::read(file, &key_name, Content::PrivateKey, findings);
    if certificate.is_some() != key.is_some() && findings.problem_count() == before {
        let (given, what, missing) = if certificate.is_some() {
            (name, "a certificate without its key", key_name.as_str())
        } else {
            (key_name.as_str(), "a key without its certificate", name)
        };
        let file_key = format!("{given}_file");
        let written = if file.has(given) { given } else { &file_key };
        findings
            .problem(&file.path_of(written), what)
            .help(format!("add `{missing}_file` or `{missing}`"));
    }
    certificate
        .zip(key)
        .map(|(certificate, key)| ServerCertificate { certificate, key })
}
