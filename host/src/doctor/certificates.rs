//! The listener's certificates: whom they are for, and until when.

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
/// Certificates of thirty and more days are renewed before this: whoever still has one has forgotten it.
const SOON: u64 = 14 * 24 * 3600;

/// One certificate of the listener.
struct Shown {
    /// What findings call it.
    name: String,
    chain: Vec<CertificateDer<'static>>,
    /// Seconds since 1970.
    not_before: u64,
    not_after: u64,
}

/// Looks at each certificate, and for one for each route's host.
pub(super) fn examine(subject: &Subject<'_>, roots: &Roots) -> Vec<Finding> {
    if subject.config.listener.insecure {
        let message =
            "the listener speaks plain HTTP: whoever terminates TLS in front has the certificates";
        return vec![Finding::ok(CHECK, subject.name, message)];
    }
    let mut findings = Vec::new();
    let mut shown = Vec::new();
    for certificate in &subject.config.listener.certificates {
        match Shown::read(certificate) {
            Ok(read) => {
                findings.push(of_validity(&read, subject));
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
    findings.extend(of_names(&shown, subject));
    findings
}

impl Shown {
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

fn of_validity(shown: &Shown, subject: &Subject<'_>) -> Finding {
    let about = format!("certificate {}", shown.name);
    let renew = || {
        Change::act(
            "renew the certificate, and start Jetway again: it reads certificates when it starts",
        )
    };
    let warning_page =
        "a warning page: \"Your connection is not private\" (NET::ERR_CERT_DATE_INVALID)";
    if subject.now < shown.not_before {
        return Finding::failure(
            CHECK,
            &about,
            format!("it is not valid before {}", date(shown.not_before)),
        )
        .seen(warning_page)
        .why("the clock of this machine is wrong, or the certificate was made for later")
        .change(Change::act(
            "compare the clock of this machine: `timedatectl`",
        ));
    }
    match shown.not_after.checked_sub(subject.now) {
        None => Finding::failure(
            CHECK,
            &about,
            format!("it ended on {}", date(shown.not_after)),
        )
        .seen(warning_page)
        .why("browsers do not accept a certificate after its end")
        .change(renew()),
        Some(rest) if rest < SOON => {
            let days = rest / (24 * 3600);
            Finding::warning(
                CHECK,
                &about,
                format!("it ends on {}, in {days} days", date(shown.not_after)),
            )
            .seen("nothing yet; then a warning page instead of the application")
            .change(renew())
        }
        Some(_) => Finding::ok(
            CHECK,
            &about,
            format!("it is valid until {}", date(shown.not_after)),
        ),
    }
}

/// For each host whether there is a certificate for it. Hosts with wildcards in unusual places cannot be asked for.
fn of_names(shown: &[Shown], subject: &Subject<'_>) -> Vec<Finding> {
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
        // Any one name that a wildcard stands for tells whether the certificate has the wildcard.
        let asked = host.replacen('*', "jetway-doctor", 1);
        if asked.contains('*') {
            continue;
        }
        if shown.iter().any(|certificate| certificate.is_for(&asked)) {
            good += 1;
            continue;
        }
        findings.push(
            Finding::failure(CHECK, host, "no certificate is for this host")
                .seen("a warning page: \"Your connection is not private\" (NET::ERR_CERT_COMMON_NAME_INVALID)")
                .why("a browser accepts a certificate only for the names that stand in it")
                .change(
                    subject
                        .at_top("certificate_file", "name a certificate that has this host among its names, or add one")
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
            format!("{good} {noun} of routes have a certificate"),
        ));
    }
    findings
}

/// A day, such as 2026-11-26.
fn date(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_second(seconds) {
        Ok(moment) => moment.strftime("%Y-%m-%d").to_string(),
        // After the year 9999.
        Err(_) => "a day far away".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_for_the_names_in_them() {
        let names = ["one.test", "*.wild.test"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let shown = Shown {
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
        assert_eq!(date(1_795_000_000), "2026-11-18");
        assert_eq!(date(u64::MAX), "a day far away");
    }
}
