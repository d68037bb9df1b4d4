//! Whether the public hosts lead to this machine.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jetway_core::config::Route;
use jetway_proxy::tls::Roots;
use tokio::time::timeout;

use super::Subject;
use super::finding::{Change, Finding};
use super::listener::{Answering, who_answers};
use crate::cockpit::public_origin;

const CHECK: &str = "dns";
/// Hosts that are looked up: past that, the first ones have said it.
const MOST_HOSTS: usize = 20;
/// How long a look-up may take.
const PATIENCE: Duration = Duration::from_secs(6);

/// Looks each host up; when Jetway runs, asks who answers there.
pub(super) async fn examine(subject: &Subject<'_>, running: bool, roots: &Roots) -> Vec<Finding> {
    let mut seen: Vec<&str> = Vec::new();
    let mut findings = Vec::new();
    for route in &subject.config.routes {
        let host = route.from.host.as_str();
        if route.from.is_wildcard() || seen.contains(&host) || seen.len() >= MOST_HOSTS {
            continue;
        }
        seen.push(host);
        findings.push(of_host(route, subject, running, roots).await);
    }
    findings
}

async fn of_host(route: &Route, subject: &Subject<'_>, running: bool, roots: &Roots) -> Finding {
    let public = public_origin(subject.config, route);
    let host = public.host.as_str();
    if host == "localhost" || host.ends_with(".localhost") {
        return Finding::ok(
            CHECK,
            host,
            "browsers take it for their own machine (RFC 6761), without asking",
        );
    }
    let addresses = match look_up(host, public.port).await {
        Ok(addresses) => addresses,
        Err(error) => return unknown(host, &error),
    };
    let Some(first) = addresses.first().copied() else {
        return unknown(host, "no address");
    };
    let listed: Vec<String> = addresses
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    let told = format!("it is {}", listed.join(", "));
    if !running {
        return Finding::ok(CHECK, host, told);
    }
    match who_answers(first, route, subject, roots).await {
        Answering::Jetway => Finding::ok(CHECK, host, format!("{told}, and Jetway answers there")),
        Answering::Another(said) => elsewhere(
            host,
            &format!("{told}, and something else answers there: {said}"),
        ),
        Answering::Nobody(silence) => elsewhere(
            host,
            &format!(
                "{told}, and from this machine nobody answers at port {}: {}",
                public.port,
                silence.told()
            ),
        ),
    }
}

fn elsewhere(host: &str, message: &str) -> Finding {
    Finding::warning(CHECK, host, message)
        .seen("another site, or none, if it is the same from where visitors are")
        .why("Jetway runs on this machine, and the name does not lead to it from here; a router may send visitors on")
        .change(Change::act("let the name's address be this machine's, and open the port in firewalls"))
}

fn unknown(host: &str, error: &str) -> Finding {
    Finding::warning(CHECK, host, format!("this machine does not find its address: {error}"))
        .seen("\"This site can't be reached\" (DNS_PROBE_FINISHED_NXDOMAIN), if it is the same where visitors are")
        .why("the name is in no name server that this machine asks")
        .change(Change::act("add an address record for it, or on a test machine a line in /etc/hosts"))
}

async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    match timeout(PATIENCE, tokio::net::lookup_host((bare, port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", PATIENCE.as_secs())),
    }
}
