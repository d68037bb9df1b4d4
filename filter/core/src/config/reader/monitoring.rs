//! Reads where the proxy shows its metrics and its health.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::listener::{check_address, read_certificate};
use crate::config::file_map::FileMap;
use crate::config::pem::Content;
use crate::config::{AdminAddress, MetricsListener, Monitoring, Pem};
use crate::diagnostics::{Findings, quoted};
use crate::secret::Secret;

/// The beginning of the address of a Unix socket.
const UNIX: &str = "unix:";
/// Longest path of a Unix socket in bytes: `sun_path` of Linux without its terminating zero (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// The keys that have no effect without `metrics_address`.
const METRICS_KEYS: [&str; 7] = [
    "metrics_basic_auth",
    "metrics_certificate",
    "metrics_certificate_file",
    "metrics_certificate_key",
    "metrics_certificate_key_file",
    "metrics_client_ca",
    "metrics_client_ca_file",
];

pub(super) fn read_monitoring(file: &FileMap<'_>, findings: &mut Findings) -> Monitoring {
    let health = file.non_empty_string("health_check_addr", findings);
    if let Some(address) = &health {
        check_address(file, "health_check_addr", address, findings);
    }
    Monitoring {
        metrics: read_metrics(file, findings),
        health,
        admin: read_admin_address(file, findings),
    }
}

fn read_metrics(file: &FileMap<'_>, findings: &mut Findings) -> Option<MetricsListener> {
    let credentials = read_credentials(file, findings);
    let certificate = read_certificate(file, "metrics_certificate", findings);
    let client_authorities = read_authorities(file, certificate.is_some(), findings);
    let Some(address) = file.non_empty_string("metrics_address", findings) else {
        for key in METRICS_KEYS {
            if file.has(key) {
                findings
                    .warning(&file.path_of(key), "there is no listener for metrics")
                    .help("add `metrics_address`, or remove this key");
            }
        }
        return None;
    };
    check_address(file, "metrics_address", &address, findings);
    Some(MetricsListener {
        address,
        credentials,
        certificate,
        client_authorities,
    })
}

fn read_authorities(file: &FileMap<'_>, has_tls: bool, findings: &mut Findings) -> Option<Pem> {
    let key = "metrics_client_ca";
    let authorities = Pem::read(file, key, Content::Certificates, findings)?;
    if !has_tls {
        let file_key = format!("{key}_file");
        let written = if file.has(key) { key } else { &file_key };
        findings
            .problem(
                &file.path_of(written),
                "client certificates need TLS, but the metrics listener uses plain HTTP",
            )
            .help("add `metrics_certificate_file` and `metrics_certificate_key_file`");
    }
    Some(authorities)
}

fn read_credentials(file: &FileMap<'_>, findings: &mut Findings) -> Option<Secret> {
    let key = "metrics_basic_auth";
    let written = file.non_empty_string(key, findings)?;
    let decoded = STANDARD.decode(written.trim()).ok();
    // RFC 7617, section 2: a user-id without a colon, a colon and the password.
    let decoded = decoded.filter(|decoded| decoded.contains(&b':'));
    if decoded.is_none() {
        findings
            .problem(&file.path_of(key), "not `USER:PASSWORD` in base64")
            .help("write the output of `printf %s USER:PASSWORD | base64`");
    }
    decoded.map(Secret::new)
}

fn read_admin_address(file: &FileMap<'_>, findings: &mut Findings) -> Option<AdminAddress> {
    let key = "admin_address";
    let written = file.non_empty_string(key, findings)?;
    let help = "write `127.0.0.1:9901`, `[::1]:9901` or `unix:/run/jetway/admin.sock`; for other machines, add a route to it with a policy";
    if let Some(path) = written.strip_prefix(UNIX) {
        let is_usable = path.starts_with('/')
            && path.len() <= MAX_SOCKET_PATH
            && !path.bytes().any(|byte| byte.is_ascii_control());
        if !is_usable {
            let message =
                format!("a Unix socket needs an absolute path of at most {MAX_SOCKET_PATH} bytes");
            findings.problem(&file.path_of(key), message).help(help);
        }
        return is_usable.then(|| AdminAddress::Unix(path.to_owned()));
    }
    let address = written.parse::<SocketAddr>().ok();
    let local = address.filter(|address| address.ip().to_canonical().is_loopback());
    if local.is_none() {
        findings
            .problem(
                &file.path_of(key),
                format!(
                    "{} is neither a loopback address nor a Unix socket",
                    quoted(&written)
                ),
            )
            .help(help);
    }
    local.map(AdminAddress::Loopback)
}
