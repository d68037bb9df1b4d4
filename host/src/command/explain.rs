//! `jetway explain`: explains the decision about a request.

mod address;
#[cfg(test)]
mod fuzz;
mod scenario;

mod offline_gate;
mod timestamp;
mod tree;
mod user;

pub(super) use address::{Address, make_header, read_method};
pub(super) use scenario::{ClientCertificateInput, Scenario};

pub(super) use offline_gate::OfflineGate;
pub(super) use timestamp::{now, read_timestamp};
pub(super) use tree::render;
pub(super) use user::{complete_claims, is_subject_needed};

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use jetway_config_file::file;
use jetway_core::explain::Explanation;
use jetway_core::http::client_certificate::Certificate;
use jetway_core::time::Timestamp;
use serde_json::Value;

use crate::config;
use crate::terminal::{Styles, escape_controls};
use address::read_header;
use timestamp::format_timestamp;
use user::{build_claims, read_claim, read_email};

/// Explain the decision about a request: its route, the decision, and each criterion of the policy.
///
/// Nothing is sent anywhere, and the exit status is 0 for every decision. The code that decides in production evaluates the
/// request. Secrets that only the running proxy has are not needed.
///
/// The request is the one that a browser sends for a page. For a script, add for example
/// --header 'Accept: application/json'; for a WebSocket, --header 'Upgrade: websocket'.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// Configuration file (YAML or JSON).
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Evaluate as a user with this verified email; anonymous if omitted.
    #[arg(long = "as", value_name = "EMAIL", value_parser = read_email)]
    email: Option<String>,
    /// The identity provider's identifier of the user (the claim `sub`), with which a policy compares `user`.
    #[arg(long, value_name = "ID")]
    sub: Option<String>,
    /// A claim of the user. VALUE is JSON (`true`, `5`, `["a","b"]`), otherwise a string; may be repeated, also to build a
    /// list.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = read_claim)]
    claims: Vec<(String, Value)>,
    /// The client's address.
    #[arg(long, value_name = "ADDR")]
    ip: Option<IpAddr>,
    /// Time of the request: `2026-11-24T08:00` in UTC, or `2026-11-24T08:00:00+01:00` [default: now].
    #[arg(long, value_name = "TIME", value_parser = read_timestamp)]
    at: Option<Timestamp>,
    /// A header of the request; may be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = read_header)]
    headers: Vec<(String, Vec<u8>)>,
    /// The client's certificate: a PEM file, which is assumed to be valid, or `missing` or `invalid`.
    ///
    /// Without it, the client presents none.
    #[arg(long, value_name = "FILE")]
    client_certificate: Option<PathBuf>,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: ExplainFormat,
    /// The method, for example GET.
    #[arg(value_parser = read_method)]
    method: String,
    /// The URL; `https://` may be omitted.
    #[arg(value_parser = Address::read)]
    url: Address,
}

const EXAMPLES: &str = "Examples:
  jetway explain -c jetway.yaml --as alice@example.com GET https://cockpit.example.com/
  jetway explain -c jetway.yaml --as bob@example.com --claim groups=admins --claim groups=staff \\
      --ip 192.0.2.7 --at 2026-11-24T08:00 POST wiki.example.com/edit --format json";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExplainFormat {
    /// For people.
    Text,
    /// One JSON object with `route`, `decision` (`allow`, `deny`, `login`), `status`, `reasons` and the policy.
    Json,
}

/// Prints the explanation.
///
/// # Errors
/// A file that cannot be used, or claims without a user.
pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<()> {
    let scenario = read_scenario(args)?;
    let gate = OfflineGate::new(config::load_without_secrets(&args.config)?.config);
    let explanation = gate.explain(&scenario);
    let text = match args.format {
        ExplainFormat::Json => serde_json::to_string_pretty(&explanation)?,
        ExplainFormat::Text => {
            let styles = Styles::for_stdout();
            let destination = gate.destination(&explanation);
            let tree = render(&explanation, destination, styles);
            let notes = collect_notes(args, &scenario, &explanation);
            format!(
                "{}\n\n{tree}{notes}",
                describe_request(args, scenario.now, styles)
            )
        }
    };
    super::print(format!("{text}\n").as_bytes())
}

fn read_scenario(args: &ExplainArgs) -> anyhow::Result<Scenario> {
    let now = args.at.unwrap_or_else(now);
    let subject = args
        .sub
        .clone()
        .map(|subject| ("sub".to_owned(), subject.into()));
    let claims: Vec<_> = args.claims.iter().cloned().chain(subject).collect();
    let claims = build_claims(args.email.as_deref(), &claims).map_err(anyhow::Error::msg)?;
    let certificate = args.client_certificate.as_deref();
    Ok(Scenario {
        claims,
        source: args.ip,
        certificate: certificate.map(read_certificate).transpose()?,
        ..Scenario::new(&args.method, &args.url, &args.headers, now)
    })
}

fn read_certificate(path: &Path) -> anyhow::Result<ClientCertificateInput> {
    match path.to_str() {
        Some("missing") => return Ok(ClientCertificateInput::Missing),
        Some("invalid") => return Ok(ClientCertificateInput::Invalid),
        _ => {}
    }
    let pem = file::read("client certificate", path, file::MAX_PEM_BYTES)?;
    let certificate = std::str::from_utf8(&pem).ok().and_then(Certificate::read);
    let certificate = certificate
        .with_context(|| format!("`{}` is not one certificate in PEM", path.display()))?;
    Ok(ClientCertificateInput::Valid(Box::new(certificate)))
}

/// Renders the request: `GET https://app.example.com/ by alice@example.com from 192.0.2.7 at 2026-11-24T08:00:00Z`.
fn describe_request(args: &ExplainArgs, now: Timestamp, styles: Styles) -> String {
    let named = |name: &str| {
        let claim = args.claims.iter().find(|(claim, _)| claim == name);
        claim.and_then(|(_, value)| value.as_str())
    };
    let user = named("email")
        .or(args.email.as_deref())
        .or(args.sub.as_deref())
        .or_else(|| named("sub"))
        .unwrap_or("an anonymous user");
    let mut text = styles.strong(format_args!("{} {}", args.method, args.url));
    let mut add = |word: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = write!(text, " {} {}", styles.faint(word), escape_controls(value));
    };
    add("by", user);
    if let Some(ip) = args.ip {
        add("from", &ip.to_string());
    }
    add("at", &format_timestamp(now));
    text
}

/// Returns notes about criteria that depend on options that the command line does not give.
fn collect_notes(args: &ExplainArgs, scenario: &Scenario, explanation: &Explanation) -> String {
    let terms = explanation.allow.iter().chain(&explanation.deny);
    let criteria: Vec<&str> = terms
        .flat_map(|term| &term.criteria)
        .map(|criterion| criterion.criterion.as_str())
        .collect();
    let asks = |name: &str| criteria.iter().any(|criterion| criterion.starts_with(name));
    let mut notes = String::new();
    if is_subject_needed(scenario.claims.as_ref(), explanation) {
        notes.push_str("\n\nnote: the policy compares `user` with the claim `sub`, which an address does not determine: set it with --sub");
    }
    if args.ip.is_none() && asks("source_ip:") {
        notes.push_str("\n\nnote: the policy depends on the client's address: set it with --ip");
    }
    let certificate = asks("client_certificate:") || asks("invalid_client_certificate:");
    if args.client_certificate.is_none() && certificate {
        notes.push_str("\n\nnote: the policy depends on the client's certificate: set it with --client-certificate");
    }
    notes
}
