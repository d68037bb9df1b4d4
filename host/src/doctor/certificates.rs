//! Checks the listener's certificates: their names, their validity and their chain.

use anyhow::Context as _;
use jetway_core::config::ServerCertificate;
use jetway_proxy::tls::{self, Roots};
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, ServerName};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::Subject;
use super::finding::{Change, Finding};

mod chain;

const CHECK: &str = "certificate";
/// Certificates are normally renewed earlier than this: one with less time left has probably been forgotten.
const SOON: u64 = 14 * 24 * 3600;

/// One certificate of the listener.
struct ServedCertificate {
    /// Its name in findings.
    name: String,
    chain: Vec<CertificateDer<'static>>,
    /// Seconds since 1970.
    not_before: u64,
    not_after: u64,
}

/// Checks each certificate, and that each route's host has one.
pub(super) fn examine(subject: &Subject<'_>, roots: &Roots) -> Vec<Finding> {
    if subject.config.listener.insecure {
        let message = "the listener speaks plain HTTP: the certificates are those of the proxy in front that terminates TLS";
        return vec![Finding::ok(CHECK, subject.name, message)];
    }
    let mut findings = Vec::new();
    let mut shown = Vec::new();
    for certificate in &subject.config.listener.certificates {
        match ServedCertificate::read(certificate) {
            Ok(read) => {
                findings.push(check_validity(&read, subject));
                if (read.not_before..=read.not_after).contains(&subject.now) {
                    findings.push(chain::examine(&read, subject.now, roots));
                }
                shown.push(read);
            }
            Err(error) => findings.push(
                Finding::failure(CHECK, subject.name, format!("{error:#}"))
                    .seen("nothing: Jetway does not start"),
            ),
        }
    }
    findings.extend(check_names(&shown, subject));
    findings
}

impl ServedCertificate {
    fn read(certificate: &ServerCertificate) -> anyhow::Result<Self> {
        let chain = tls::read_chain(&certificate.certificate)?;
        let leaf = chain.first().context("the chain is empty")?;
        let parsed = Certificate::from_der(leaf)?;
        let validity = parsed.tbs_certificate().validity();
        Ok(Self {
            name: tls::describe_source(&certificate.certificate),
            not_before: validity.not_before.to_unix_duration().as_secs(),
            not_after: validity.not_after.to_unix_duration().as_secs(),
            chain,
        })
    }

    fn is_for(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let Ok(name) = ServerName::try_from(host) else {
            return false;
        };
        let leaf = self.chain.first();
        leaf.and_then(|leaf| ParsedCertificate::try_from(leaf).ok())
            .is_some_and(|parsed| verify_server_name(&parsed, &name).is_ok())
    }
}

fn check_validity(shown: &ServedCertificate, subject: &Subject<'_>) -> Finding {
    let about = format!("certificate {}", shown.name);
    let renew = || Change::act("renew the certificate; Jetway reads changed files by itself");
    let warning_page =
        "a warning page: \"Your connection is not private\" (NET::ERR_CERT_DATE_INVALID)";
    if subject.now < shown.not_before {
        return Finding::failure(
            CHECK,
            &about,
            format!("it is not valid before {}", format_date(shown.not_before)),
        )
        .seen(warning_page)
        .why("the clock of this machine is wrong, or the certificate was issued for a later time")
        .change(Change::act(
            "check the clock of this machine: `timedatectl`",
        ));
    }
    match shown.not_after.checked_sub(subject.now) {
        None => Finding::failure(
            CHECK,
            &about,
            format!("it expired on {}", format_date(shown.not_after)),
        )
        .seen(warning_page)
        .why("browsers do not accept an expired certificate")
        .change(renew()),
        Some(rest) if rest < SOON => {
            let days = rest / (24 * 3600);
            Finding::warning(
                CHECK,
                &about,
                format!(
                    "it expires on {}, in {days} days",
                    format_date(shown.not_after)
                ),
            )
            .seen("nothing yet; then a warning page instead of the application")
            .change(renew())
        }
        Some(_) => Finding::ok(
            CHECK,
            &about,
            format!("it is valid until {}", format_date(shown.not_after)),
        ),
    }
}

/// Checks that each host has a certificate. Hosts with wildcards in unusual places cannot be checked.
fn check_names(shown: &[ServedCertificate], subject: &Subject<'_>) -> Vec<Finding> {
    let mut hosts: Vec<&str> = subject
        .config
        .routes
        .iter()
        .map(|route| route.from.host.as_str())
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    let (mut good, mut findings) = (0_usize, Vec::new());
    for host in hosts {
        // Any name that the wildcard matches shows whether the certificate has the wildcard.
        let asked = host.replacen('*', "jetway-doctor", 1);
        if asked.contains('*') {
            continue;
        }
        if shown.iter().any(|certificate| certificate.is_for(&asked)) {
            good += 1;
            continue;
        }
        findings.push(
            Finding::failure(CHECK, host, "no certificate covers this host")
                .seen("a warning page: \"Your connection is not private\" (NET::ERR_CERT_COMMON_NAME_INVALID)")
                .why("a browser accepts a certificate only for the names that it contains")
                .change(
                    subject
                        .at_top("certificate_file", "set a certificate that covers this host, or add one")
                        .line("certificates:")
                        .line(format!("  - cert: {host}.pem"))
                        .line(format!("    key: {host}-key.pem")),
                ),
        );
    }
    if good > 0 {
        let noun = if good == 1 { "host" } else { "hosts" };
        findings.push(Finding::ok(
            CHECK,
            subject.name,
            format!("{good} {noun} of routes with a certificate"),
        ));
    }
    findings
}

/// Formats a day, such as 2026-11-26.
pub(super) fn format_date(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_second(seconds) {
        Ok(moment) => moment.strftime("%Y-%m-%d").to_string(),
        Err(_) => "a date after the year 9999".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_cover_their_names() {
        let names = ["one.test", "*.wild.test"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let shown = ServedCertificate {
            name: "test".to_owned(),
            chain: vec![made.cert.der().clone()],
            not_before: 0,
            not_after: 1,
        };
        for (host, expected) in [
            ("one.test", true),
            ("a.wild.test", true),
            ("a.b.wild.test", false),
            ("two.test", false),
            ("[::1]", false),
        ] {
            assert_eq!(shown.is_for(host), expected, "{host}");
        }
    }

    #[test]
    fn days_are_readable() {
        assert_eq!(format_date(1_795_000_000), "2026-11-18");
        assert_eq!(format_date(u64::MAX), "a date after the year 9999");
    }
}
