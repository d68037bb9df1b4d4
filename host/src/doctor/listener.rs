//! Whether the listening address is free, or Jetway's already.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use jetway_core::config::{Origin, Route};
use jetway_core::contract::OWN_PREFIX;
use jetway_proxy::serve;
use jetway_proxy::tls::{Roots, Trust};
use jetway_proxy::upstream::Connector;

use super::Subject;
use super::answer::{Silence, ask};
use super::finding::{Change, Finding};
use crate::cockpit::public_origin;

const CHECK: &str = "listener";
/// What is said when Jetway runs.
pub(super) const JETWAY: &str = "Jetway answers there";
/// Bytes of the answers that are read: both are far shorter.
const MAX_ANSWER: usize = 4096;

/// Who answers at an address.
pub(super) enum Answering {
    /// This program, or Envoy with its module.
    Jetway,
    /// Something else; this is what it said.
    Another(String),
    /// Nobody.
    Nobody(Silence),
}

/// Tries each listening address.
pub(super) async fn examine(subject: &Subject<'_>, roots: &Roots) -> Vec<Finding> {
    let listener = &subject.config.listener;
    let addresses = match serve::parse_addresses(&listener.address) {
        Ok(addresses) => addresses,
        Err(error) => {
            return vec![
                Finding::failure(CHECK, &listener.address, format!("{error:#}"))
                    .seen("nothing: Jetway does not start")
                    .change(
                        subject
                            .at_top("address", "write for example")
                            .line("address: :443"),
                    ),
            ];
        }
    };
    let mut findings = Vec::new();
    for address in addresses {
        findings.push(of_address(address, subject, roots).await);
    }
    findings
}

async fn of_address(address: SocketAddr, subject: &Subject<'_>, roots: &Roots) -> Finding {
    let about = address.to_string();
    let Err(error) = serve::try_address(address) else {
        let message = "the port is free: Jetway can listen there, and does not yet";
        return Finding::ok(CHECK, &about, message);
    };
    match error.kind() {
        ErrorKind::AddrInUse => in_use(&about, address, subject, roots).await,
        ErrorKind::PermissionDenied => {
            Finding::failure(CHECK, &about, "this user may not listen there")
                .seen("\"This site can't be reached\": Jetway does not start")
                .why("ports below 1024 are the system's")
                .change(
                    Change::act("let systemd give the right to Jetway's service")
                        .line("AmbientCapabilities=CAP_NET_BIND_SERVICE"),
                )
        }
        _ => Finding::failure(
            CHECK,
            &about,
            format!("Jetway cannot listen there: {error}"),
        )
        .seen("\"This site can't be reached\": Jetway does not start")
        .change(
            subject
                .at_top("address", "name an address of this machine, or all of them")
                .line(format!("address: :{}", address.port())),
        ),
    }
}

async fn in_use(about: &str, address: SocketAddr, subject: &Subject<'_>, roots: &Roots) -> Finding {
    if subject.config.listener.proxy_protocol {
        return Finding::ok(
            CHECK,
            about,
            "something listens there; with `use_proxy_protocol` it cannot be asked who",
        );
    }
    let Some(route) = subject
        .config
        .routes
        .iter()
        .find(|route| !route.from.is_wildcard())
    else {
        return Finding::ok(
            CHECK,
            about,
            "something listens there; without a route for one host it cannot be asked who",
        );
    };
    match who_answers(reachable(address), route, subject, roots).await {
        Answering::Jetway => Finding::ok(CHECK, about, JETWAY),
        Answering::Another(said) => taken(about, &format!("it answers {said}"), subject),
        Answering::Nobody(silence) => taken(about, &silence.told(), subject),
    }
}

fn taken(about: &str, told: &str, subject: &Subject<'_>) -> Finding {
    let port = about.rsplit(':').next().unwrap_or_default();
    Finding::failure(
        CHECK,
        about,
        format!("another program listens there ({told})"),
    )
    .seen("that program's pages, or none; Jetway does not start")
    .why("a port has one program")
    .change(
        Change::act("find out which program it is, and stop it")
            .line(format!("ss -ltnp 'sport = :{port}'")),
    )
    .change(
        subject
            .at_top("address", "or let Jetway listen on another port")
            .line("address: :8443"),
    )
}

/// An address to connect to for one to listen on.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

/// Asks an address by the name of a route's host for what only Jetway has.
pub(super) async fn who_answers(
    address: SocketAddr,
    route: &Route,
    subject: &Subject<'_>,
    roots: &Roots,
) -> Answering {
    let public = public_origin(subject.config, route);
    let origin = Origin {
        tls: !subject.config.listener.insecure,
        host: public.host.clone(),
        port: address.port(),
    };
    let connector = match Connector::new(&origin, &Trust::Anyone, roots) {
        Ok(connector) => connector.at(address),
        Err(_) => return Answering::Nobody(Silence::Unprepared),
    };
    let asked = async |path: &str| {
        let mut request = Request::new(Full::<Bytes>::default());
        *request.uri_mut() = path.parse().unwrap_or_default();
        if let Ok(host) = public.authority().parse() {
            request.headers_mut().insert(header::HOST, host);
        }
        ask(&connector, request, MAX_ANSWER).await
    };
    let ping = match asked("/ping").await {
        Ok(answer) => answer,
        Err(silence) => return Answering::Nobody(silence),
    };
    // Others answer `OK` at such a path too; the addresses of the sign-in are Jetway's.
    match asked("/.well-known/pomerium").await {
        Ok(answer) if ping.text() == "OK\n" && answer.text().contains(OWN_PREFIX) => {
            Answering::Jetway
        }
        _ => Answering::Another(ping.outcome()),
    }
}
