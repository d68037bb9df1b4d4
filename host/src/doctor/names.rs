//! Checks that the public hosts resolve to this machine.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jetway_core::config::Route;
use jetway_proxy::tls::Roots;
use tokio::time::timeout;

use super::Subject;
use super::finding::{Change, Finding};
use super::listener::{Answering, identify_server};
use crate::cockpit::public_origin;

const CHECK: &str = "dns";
/// Most hosts that are looked up: more say nothing new.
const MOST_HOSTS: usize = 20;
/// How long a look-up may take.
const PATIENCE: Duration = Duration::from_secs(6);

/// Looks up each host; when Jetway runs, checks that it answers there.
pub(super) async fn examine(subject: &Subject<'_>, running: bool, roots: &Roots) -> Vec<Finding> {
    let mut seen: Vec<&str> = Vec::new();
    let mut findings = Vec::new();
    for route in &subject.config.routes {
        let host = route.from.host.as_str();
        if route.from.is_wildcard() || seen.contains(&host) || seen.len() >= MOST_HOSTS {
            continue;
        }
        seen.push(host);
        findings.push(check_host(route, subject, running, roots).await);
    }
    findings
}

async fn check_host(route: &Route, subject: &Subject<'_>, running: bool, roots: &Roots) -> Finding {
    let public = public_origin(subject.config, route);
    let host = public.host.as_str();
    if is_own_machine(host) {
        return Finding::ok(
            CHECK,
            host,
            "browsers resolve it to their own machine (RFC 6761)",
        );
    }
    let addresses = match look_up(host, public.port).await {
        Ok(addresses) => addresses,
        Err(error) => return report_unresolved(host, &error),
    };
    let Some(first) = addresses.first().copied() else {
        return report_unresolved(host, "no address");
    };
    let listed: Vec<String> = addresses
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    let resolved = format!("it resolves to {}", listed.join(", "));
    if !running {
        return Finding::ok(CHECK, host, resolved);
    }
    match identify_server(first, route, subject, roots).await {
        Answering::Jetway => {
            Finding::ok(CHECK, host, format!("{resolved}, and Jetway answers there"))
        }
        Answering::Another(said) => report_other_server(
            host,
            &format!("{resolved}, and another server answers there: {said}"),
        ),
        Answering::None(error) => report_other_server(
            host,
            &format!(
                "{resolved}, and no server answers this machine at port {}: {}",
                public.port, error
            ),
        ),
    }
}

fn report_other_server(host: &str, message: &str) -> Finding {
    Finding::warning(CHECK, host, message)
        .seen("another site, or none, if the name resolves to the same address for users")
        .why("Jetway runs on this machine, and the name does not lead to it from here; a router may forward users to it")
        .change(Change::act("point the name at this machine, and open the port in firewalls"))
}

fn report_unresolved(host: &str, error: &str) -> Finding {
    Finding::warning(CHECK, host, format!("this machine cannot resolve it: {error}"))
        .seen("\"This site can't be reached\" (DNS_PROBE_FINISHED_NXDOMAIN), if users cannot resolve it either")
        .why("no name server of this machine knows the name")
        .change(Change::act("add an address record for it, or on a test machine a line in /etc/hosts"))
}

/// Whether browsers resolve a host to their own machine (RFC 6761, section 6.3).
pub(super) fn is_own_machine(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// Returns the addresses of a host.
///
/// # Errors
/// The reason in words.
pub(super) async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    match timeout(PATIENCE, tokio::net::lookup_host((bare, port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no response within {} seconds", PATIENCE.as_secs())),
    }
}
