//! Explains why a TLS handshake with an upstream fails, and how its certificate is pinned.

use std::io;
use std::net::IpAddr;

use jetway_proxy::tls::describe_source;
use rustls::{AlertDescription, CertificateError, Error};

use super::certificates::format_date;
use super::finding::Change;
use super::upstream_probe::UpstreamProbe;

/// The key that pins a certificate, or the authority that has signed it.
const CA_KEY: &str = "tls_custom_ca_file";
/// The file in the proposed lines.
const CA_FILE: &str = "/etc/jetway/upstream.pem";

/// The cause of a failed handshake, and the changes that fix it.
pub(super) struct TlsCause {
    pub(super) why: String,
    pub(super) changes: Vec<Change>,
}

/// Explains the error of a handshake.
pub(super) fn explain_tls(probe: &UpstreamProbe<'_>, error: &io::Error) -> TlsCause {
    let error = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match error {
        Some(Error::InvalidCertificate(refused)) => explain_certificate(probe, refused),
        Some(Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied,
        )) => TlsCause {
            why: "the upstream demands a client certificate, or refuses the one that it gets".to_owned(),
            changes: vec![
                probe
                    .in_route("tls_client_cert_file", "set a certificate that the upstream accepts")
                    .line("tls_client_cert_file: /etc/jetway/client.pem")
                    .line("tls_client_key_file: /etc/jetway/client-key.pem"),
            ],
        },
        _ => TlsCause {
            why: "the upstream does not speak TLS on this port, or no version and cipher suite that both know".to_owned(),
            changes: vec![
                probe
                    .in_route("to", "if it speaks plain HTTP there, write")
                    .line(format!(
                        "to: http://{}",
                        probe.endpoint.origin.authority()
                    )),
            ],
        },
    }
}

/// Explains why the certificate that the upstream shows is refused.
fn explain_certificate(probe: &UpstreamProbe<'_>, refused: &CertificateError) -> TlsCause {
    let pinned = pinned_file(probe);
    match refused {
        CertificateError::ExpiredContext { not_after, .. } => TlsCause {
            why: format!(
                "the certificate that it shows expired on {}{}",
                format_date(not_after.as_secs()),
                even_if_pinned(pinned.as_deref())
            ),
            changes: renew(probe, pinned.is_some()),
        },
        CertificateError::Expired => TlsCause {
            why: format!(
                "the certificate that it shows has expired{}",
                even_if_pinned(pinned.as_deref())
            ),
            changes: renew(probe, pinned.is_some()),
        },
        CertificateError::NotValidYetContext { not_before, .. } => TlsCause {
            why: format!(
                "the certificate that it shows is valid from {}, and this machine's clock is earlier",
                format_date(not_before.as_secs())
            ),
            changes: vec![Change::act("check the clocks of both machines").line("timedatectl")],
        },
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => explain_name(probe, &expected.to_str(), presented),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            TlsCause {
                why: "the certificate that it shows is not for servers (extended key usage)"
                    .to_owned(),
                changes: vec![Change::act("give the upstream a certificate for servers")],
            }
        }
        other => match pinned {
            Some(file) => TlsCause {
                why: format!(
                    "the certificate that it shows is neither in {file} nor signed by an authority there ({other})"
                ),
                changes: vec![fetch(probe), in_file(probe)],
            },
            None => TlsCause {
                why: format!("this machine does not trust the certificate that it shows ({other})"),
                changes: pin(probe),
            },
        },
    }
}

/// Returns how messages name the certificates that the route trusts instead of the system's.
fn pinned_file(probe: &UpstreamProbe<'_>) -> Option<String> {
    let upstreams = probe.route.target.upstreams()?;
    upstreams.tls.authorities.as_ref().map(describe_source)
}

fn even_if_pinned(pinned: Option<&str>) -> String {
    pinned.map_or_else(String::new, |file| {
        format!(", and dates count for certificates in {file}, too")
    })
}

fn renew(probe: &UpstreamProbe<'_>, is_pinned: bool) -> Vec<Change> {
    let mut changes = vec![Change::act(
        "renew the certificate on the upstream's machine",
    )];
    if is_pinned {
        changes.push(fetch(probe));
    }
    changes
}

/// Explains that a certificate is for other names. `presented` are those of the certificate, such as `DnsName("vm")`.
fn explain_name(probe: &UpstreamProbe<'_>, expected: &str, presented: &[String]) -> TlsCause {
    let names: Vec<String> = presented.iter().map(|name| bare_name(name)).collect();
    let why = if names.is_empty() {
        format!("the certificate that it shows has no name, and Jetway expects `{expected}`")
    } else {
        format!(
            "the certificate that it shows is for `{}`, and Jetway expects `{expected}`",
            names.join("`, `")
        )
    };
    let usable = names
        .iter()
        .find(|name| !name.contains('*') && name.parse::<IpAddr>().is_err());
    let changes = match usable {
        Some(name) => vec![
            probe
                .in_route("tls_server_name", "if it is the right server, write")
                .line(format!("tls_server_name: {name}")),
        ],
        None => vec![Change::act(format!(
            "give the upstream a certificate for `{expected}`"
        ))],
    };
    TlsCause { why, changes }
}

/// Returns the name in the form that rustls prints, such as `DnsName("vm")`.
fn bare_name(presented: &str) -> String {
    let inner = presented
        .split_once('(')
        .map_or(presented, |(_, rest)| rest.trim_end_matches(')'));
    inner.trim_matches('"').chars().take(100).collect()
}

/// Creates the changes that pin the upstream's certificate.
pub(super) fn pin(probe: &UpstreamProbe<'_>) -> Vec<Change> {
    vec![
        fetch(probe),
        probe
            .in_route("to", "if they are the same, or with the certificate of its authority, write in this route")
            .line(format!("{CA_KEY}: {CA_FILE}")),
    ]
}

fn in_file(probe: &UpstreamProbe<'_>) -> Change {
    probe.in_route(
        CA_KEY,
        "if they are the same, put that certificate, or that of its authority, into the file",
    )
}

/// Creates the commands that show which certificate the upstream shows. The fingerprint is compared on its own machine,
/// because another server on the way could show another certificate.
fn fetch(probe: &UpstreamProbe<'_>) -> Change {
    let origin = &probe.endpoint.origin;
    let upstreams = probe.route.target.upstreams();
    let name = upstreams.and_then(|upstreams| upstreams.tls.server_name.as_deref());
    let name = name.map_or_else(String::new, |name| format!(" -servername {name}"));
    Change::act("get the certificate that it shows, and compare the fingerprint with that of the file on the upstream's machine")
        .line(format!(
            "openssl s_client -connect {}:{}{name} </dev/null | openssl x509 >{CA_FILE}",
            origin.host, origin.port
        ))
        .line(format!("openssl x509 -noout -fingerprint -sha256 -in {CA_FILE}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls_pki_types::{ServerName, UnixTime};

    use super::*;
    use crate::doctor::testing;

    const PINNED: &str = "tls_custom_ca_file: pinned.pem";

    /// Returns the cause and all lines of the changes.
    fn explained(route: &str, error: Error) -> (String, String) {
        testing::with_probe(route, |probe| {
            let cause = explain_tls(probe, &io::Error::other(error));
            let lines = cause.changes.iter().flat_map(|change| {
                std::iter::once(change.what.clone()).chain(change.lines.clone())
            });
            (cause.why, lines.collect::<Vec<_>>().join("\n"))
        })
    }

    #[test]
    fn an_unknown_certificate_is_pinned_and_verification_is_not_skipped() {
        let unknown = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let (why, changes) = explained("preserve_host_header: true", unknown());
        assert!(why.contains("does not trust"), "{why}");
        for part in [
            "openssl s_client -connect 127.0.0.1:1 </dev/null",
            "-fingerprint -sha256",
            "tls_custom_ca_file: /etc/jetway/upstream.pem",
        ] {
            assert!(changes.contains(part), "{part}: {changes}");
        }
        assert!(!changes.contains("skip"), "{changes}");
        // A key that is set is not proposed.
        let (why, changes) = explained(PINNED, unknown());
        assert!(
            why.contains("neither in") && why.contains("pinned.pem"),
            "{why}"
        );
        assert!(!changes.contains("tls_custom_ca_file:"), "{changes}");
    }

    #[test]
    fn the_reason_why_a_pinned_certificate_is_refused_is_named() {
        let moment = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let (why, changes) = explained(
            PINNED,
            Error::InvalidCertificate(CertificateError::ExpiredContext {
                time: moment(1_795_000_000),
                not_after: moment(1_767_225_600),
            }),
        );
        assert!(
            why.contains("expired on 2026-01-01") && why.contains("pinned.pem"),
            "{why}"
        );
        assert!(changes.contains("renew"), "{changes}");
        let (why, changes) = explained(
            PINNED,
            Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                expected: ServerName::try_from("127.0.0.1").unwrap(),
                presented: vec!["DnsName(\"vm.test\")".to_owned()],
            }),
        );
        assert!(
            why.contains("is for `vm.test`, and Jetway expects `127.0.0.1`"),
            "{why}"
        );
        assert!(changes.contains("tls_server_name: vm.test"), "{changes}");
        let (why, _) = explained(
            PINNED,
            Error::InvalidCertificate(CertificateError::NotValidYetContext {
                time: moment(0),
                not_before: moment(1_767_225_600),
            }),
        );
        assert!(why.contains("valid from 2026-01-01"), "{why}");
    }

    #[test]
    fn other_failures_are_told_apart() {
        let (why, changes) = explained(
            "preserve_host_header: true",
            Error::AlertReceived(AlertDescription::CertificateRequired),
        );
        assert!(why.contains("client certificate"), "{why}");
        assert!(changes.contains("tls_client_cert_file"), "{changes}");
        let (why, changes) = explained(
            "preserve_host_header: true",
            Error::General("received corrupt message".to_owned()),
        );
        assert!(why.contains("does not speak TLS"), "{why}");
        assert!(changes.contains("to: http://127.0.0.1:1"), "{changes}");
    }
}
