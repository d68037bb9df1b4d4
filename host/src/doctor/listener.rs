//! Checks that the listening address is free, or that Jetway listens there.

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
use super::answer::{ProbeError, ask};
use super::finding::{Change, Finding};
use crate::cockpit::public_origin;

const CHECK: &str = "listener";
const PORT: &str = "public-port";
const PROTO: &str = "forwarded-proto";
/// The message when Jetway runs.
pub(super) const JETWAY: &str = "Jetway answers there";
/// Most bytes of the responses that are read: both are far shorter.
const MAX_ANSWER: usize = 4096;

/// The server at an address.
pub(super) enum Answering {
    /// This program, or Envoy with its module.
    Jetway,
    /// Another server, with its status.
    Another(String),
    /// No server answers.
    None(ProbeError),
}

/// Checks each listening address.
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
    for address in &addresses {
        findings.push(check_address(*address, subject, roots).await);
    }
    findings.extend(check_ports(&addresses, subject));
    findings.extend(check_forwarded_proto(subject));
    findings
}

/// Checks that Jetway listens on the ports of the routes' public addresses. In front of a listener without TLS is another
/// proxy, which has ports of its own.
fn check_ports(addresses: &[SocketAddr], subject: &Subject<'_>) -> Vec<Finding> {
    let listens = |port| addresses.iter().any(|address| address.port() == port);
    let ports: Vec<String> = addresses
        .iter()
        .map(|address| address.port().to_string())
        .collect();
    let routes = subject.config.routes.iter().enumerate();
    routes
        .filter(|_| !subject.config.listener.insecure)
        .filter_map(|(index, route)| Some((index, route, route.from.port?)))
        .filter(|(_, _, port)| !listens(*port))
        .map(|(index, route, port)| {
            let about = Subject::describe_route(route);
            let message = format!(
                "users open port {port}, and Jetway listens on port {}",
                ports.join(", ")
            );
            Finding::warning(PORT, &about, message)
                .seen(
                    "\"This site can't be reached\", unless a router or a container maps the port",
                )
                .why("`from` has a port that `address` does not have")
                .change(
                    subject
                        .in_route(
                            index,
                            "from",
                            "write the port on which Jetway is reached, or",
                        )
                        .line(format!("address: :{port}")),
                )
        })
        .collect()
}

/// Warns of a listener behind a proxy whose `X-Forwarded-Proto` is not trusted.
fn check_forwarded_proto(subject: &Subject<'_>) -> Option<Finding> {
    let listener = &subject.config.listener;
    (listener.insecure && listener.trusted_hops == 0).then(|| {
        Finding::warning(PROTO, subject.name, "`X-Forwarded-Proto` of the proxy in front is not trusted")
            .seen("nothing in some applications; in others redirects to http, or a login that does not last")
            .why("Jetway listens without TLS and trusts no proxy in front, so that it replaces `X-Forwarded-Proto: https` by `http`, and the client's address by that of the proxy")
            .change(
                subject
                    .at_top("insecure_server", "if exactly one proxy in front terminates TLS and sets `X-Forwarded-For` and `X-Forwarded-Proto`, write")
                    .line("xff_num_trusted_hops: 1"),
            )
    })
}

async fn check_address(address: SocketAddr, subject: &Subject<'_>, roots: &Roots) -> Finding {
    let about = address.to_string();
    let Err(error) = serve::try_address(address) else {
        let message = "the port is free: Jetway can listen there, and is not running";
        return Finding::ok(CHECK, &about, message);
    };
    match error.kind() {
        ErrorKind::AddrInUse => in_use(&about, address, subject, roots).await,
        ErrorKind::PermissionDenied => {
            Finding::failure(CHECK, &about, "this user must not listen there")
                .seen("\"This site can't be reached\": Jetway does not start")
                .why("ports below 1024 need a privilege")
                .change(
                    Change::act("grant the capability to Jetway's service")
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
                .at_top("address", "set an address of this machine, or all of them")
                .line(format!("address: :{}", address.port())),
        ),
    }
}

async fn in_use(about: &str, address: SocketAddr, subject: &Subject<'_>, roots: &Roots) -> Finding {
    if subject.config.listener.proxy_protocol {
        return Finding::ok(
            CHECK,
            about,
            "a server listens there; with `use_proxy_protocol` it cannot be identified",
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
            "a server listens there; without a route for one host it cannot be identified",
        );
    };
    match identify_server(connectable(address), route, subject, roots).await {
        Answering::Jetway => Finding::ok(CHECK, about, JETWAY),
        Answering::Another(said) => report_taken(about, &format!("it answers {said}"), subject),
        Answering::None(error) => report_taken(about, &error.to_string(), subject),
    }
}

fn report_taken(about: &str, answer: &str, subject: &Subject<'_>) -> Finding {
    let port = about.rsplit(':').next().unwrap_or_default();
    Finding::failure(
        CHECK,
        about,
        format!("another program listens there ({answer})"),
    )
    .seen("that program's pages, or none; Jetway does not start")
    .why("only one program can listen on a port")
    .change(
        Change::act("find out which program it is, and stop it")
            .line(format!("ss -ltnp 'sport = :{port}'")),
    )
    .change(
        subject
            .at_top("address", "or make Jetway listen on another port")
            .line("address: :8443"),
    )
}

/// Returns an address to which to connect for a listening address.
fn connectable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

/// Identifies the server at an address, by a document that only Jetway serves, with a route's host.
pub(super) async fn identify_server(
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
        Err(_) => return Answering::None(ProbeError::Unprepared),
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
        Err(error) => return Answering::None(error),
    };
    // Other servers answer `OK` at such a path too; the sign-in paths are specific to Jetway.
    match asked("/.well-known/pomerium").await {
        Ok(answer) if ping.text() == "OK\n" && answer.text().contains(OWN_PREFIX) => {
            Answering::Jetway
        }
        _ => Answering::Another(ping.outcome()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing;

    /// Calls a check with the file of a listener on port 443 with these further keys, and a route with this public address.
    fn messages(
        keys: &str,
        from: &str,
        check: impl Fn(&Subject<'_>) -> Vec<Finding>,
    ) -> Vec<String> {
        let file = testing::file(&format!(
            "{keys}\nroutes:\n  - {{from: '{from}', to: http://127.0.0.1:1, allow_public_unauthenticated_access: true}}\n"
        ));
        let inspection = file.inspect();
        let subject = Subject {
            name: "jetway.yaml",
            inspection: &inspection,
            config: inspection.config().unwrap(),
            cockpit_conf: std::path::Path::new("cockpit.conf"),
            now: 0,
        };
        let findings = check(&subject);
        findings.into_iter().map(|found| found.message).collect()
    }

    #[test]
    fn a_port_without_a_listener_is_reported() {
        let found = |keys: &str, from: &str| {
            messages(keys, from, |subject| {
                check_ports(&["127.0.0.1:443".parse().unwrap()], subject)
            })
        };
        const TLS: &str = "certificate_file: a.pem\ncertificate_key_file: a.key";
        assert_eq!(found(TLS, "https://a.test"), [""; 0]);
        assert_eq!(found(TLS, "https://a.test:443"), [""; 0]);
        assert_eq!(
            found(TLS, "https://a.test:8443"),
            ["users open port 8443, and Jetway listens on port 443"]
        );
        assert_eq!(
            found("insecure_server: true", "https://a.test:8443"),
            [""; 0]
        );
    }

    #[test]
    fn a_proxy_in_front_that_is_not_trusted_is_reported() {
        let found = |keys: &str| {
            messages(keys, "https://a.test", |subject| {
                check_forwarded_proto(subject).into_iter().collect()
            })
        };
        assert_eq!(found("insecure_server: true").len(), 1);
        assert_eq!(
            found("insecure_server: true\nxff_num_trusted_hops: 1"),
            [""; 0]
        );
        assert_eq!(
            found("certificate_file: a.pem\ncertificate_key_file: a.key"),
            [""; 0]
        );
    }
}
