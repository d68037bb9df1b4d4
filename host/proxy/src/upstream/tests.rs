//! Tests of routes and the TLS of their upstreams, against servers in this process.

use std::sync::Arc;

use jetway_core::config::{Config, Endpoint, Origin, Pem, Route, Target, UpstreamTls};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::limits::Hit;
use crate::tls::testing::{Authority, Issued, pem_text};
use crate::tls::{Roots, Trust};

/// The facts about a successful handshake that a server has seen.
#[derive(Debug, PartialEq)]
struct Seen {
    server_name: Option<String>,
    client: Option<CertificateDer<'static>>,
}

/// A server that performs handshakes, asks for a certificate of that authority if there is one, and closes the connection.
struct Server {
    port: u16,
    seen: mpsc::UnboundedReceiver<Seen>,
}

impl Server {
    async fn start(identity: &Issued, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = match clients {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(der(&authority.pem)).unwrap();
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .unwrap()
            }
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![der(&identity.certificate)],
                PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, seen) = mpsc::unbounded_channel();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let session = stream.get_ref().1;
                let shown = session.peer_certificates();
                let seen = Seen {
                    server_name: session.server_name().map(str::to_owned),
                    client: shown
                        .and_then(|chain| chain.first().cloned().map(CertificateDer::into_owned)),
                };
                let _ = sender.send(seen);
            }
        });
        Self { port, seen }
    }

    fn origin(&self, host: &str) -> Origin {
        Origin {
            tls: true,
            host: host.to_owned(),
            port: self.port,
        }
    }

    /// Returns the handshake that the server saw, or why a connection was not possible.
    async fn seen(&mut self, host: &str, tls: &UpstreamTls) -> Result<Seen, String> {
        let connector = Connector::upstream(&self.origin(host), tls, &Roots::default())
            .map_err(|error| format!("{error:#}"))?;
        let connected = connector.connect().await;
        let transport = connected.map_err(|error| format!("{:#}", anyhow::Error::new(error)))?;
        let seen = self.seen.recv().await.unwrap();
        drop(transport);
        Ok(seen)
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn trust_only(authority: &Authority) -> UpstreamTls {
    let mut tls = UpstreamTls::default();
    tls.authorities = Some(pem_text(&authority.pem));
    tls
}

#[tokio::test]
async fn servers_are_trusted_by_their_certificates() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let identity = ours.issue(&["localhost", "inner.test"], 1);
    let mut server = Server::start(&identity, None).await;
    let seen = |name: &str| {
        Ok(Seen {
            server_name: Some(name.to_owned()),
            client: None,
        })
    };

    assert_eq!(
        server.seen("localhost", &trust_only(&ours)).await,
        seen("localhost")
    );
    assert!(
        server
            .seen("localhost", &trust_only(&others))
            .await
            .is_err()
    );
    let mut anyone = UpstreamTls::default();
    anyone.skip_verify = true;
    assert_eq!(server.seen("localhost", &anyone).await, seen("localhost"));
    // The certificate is not valid for an address.
    assert!(server.seen("127.0.0.1", &trust_only(&ours)).await.is_err());
    let mut named = trust_only(&ours);
    named.server_name = Some("inner.test".to_owned());
    assert_eq!(server.seen("127.0.0.1", &named).await, seen("inner.test"));
    named.server_name = Some("other.test".to_owned());
    assert!(server.seen("localhost", &named).await.is_err());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ours.pem");
    std::fs::write(&file, &ours.pem).unwrap();
    let mut from_file = UpstreamTls::default();
    from_file.authorities = Some(Pem::File(file.to_str().unwrap().to_owned()));
    assert_eq!(
        server.seen("localhost", &from_file).await,
        seen("localhost")
    );
}

#[tokio::test]
async fn servers_get_the_certificate_of_the_route() {
    let ours = Authority::new("ours");
    let (identity, client) = (ours.issue(&["localhost"], 1), ours.issue(&["jetway"], 2));
    let mut server = Server::start(&identity, Some(&ours)).await;
    let mut tls = trust_only(&ours);
    tls.client = Some(client.pair());
    let seen = server.seen("localhost", &tls).await.unwrap();
    assert_eq!(seen.client, Some(der(&client.certificate)));
    tls.skip_verify = true;
    let seen = server.seen("localhost", &tls).await.unwrap();
    assert_eq!(seen.client, Some(der(&client.certificate)));
}

fn limits() -> UpstreamLimits {
    UpstreamLimits {
        metrics: Arc::default(),
        descriptors: DescriptorLimit::new(100, Hit::UpstreamDescriptors),
        breakers: CircuitBreakers::new(100),
    }
}

fn route(to: &str) -> Route {
    let value = json!({"routes": [{"from": "https://app.example.com", "to": to,
        "allow_public_unauthenticated_access": true}]});
    let mut config = Config::read(&value, &|_| None).unwrap().config;
    config.routes.remove(0)
}

fn with(to: &str, change: impl FnOnce(&mut UpstreamTls)) -> Route {
    let mut route = route(to);
    let Target::Upstreams(upstreams) = &mut route.target else {
        panic!("a route without upstreams");
    };
    change(&mut upstreams.tls);
    route
}

#[test]
fn errors_name_the_route_and_the_key() {
    let ours = Authority::new("ours");
    let (one, other) = (ours.issue(&["one"], 1), ours.issue(&["other"], 2));
    let missing = || Pem::File("/no/such.pem".to_owned());
    let https = "https://127.0.0.1:1";
    let cases = [
        (
            with(https, |tls| tls.authorities = Some(missing())),
            "`tls_custom_ca_file`",
        ),
        (
            with(https, |tls| tls.authorities = Some(pem_text("nothing"))),
            "`tls_custom_ca`",
        ),
        (
            with(https, |tls| {
                tls.client = Some((missing(), pem_text(&one.key)))
            }),
            "`tls_client_cert_file`",
        ),
        (
            with(https, |tls| {
                tls.client = Some((pem_text(&one.certificate), pem_text("nothing")))
            }),
            "`tls_client_key`",
        ),
        (
            with(https, |tls| {
                tls.client = Some((pem_text(&one.certificate), pem_text(&other.key)))
            }),
            "`tls_client_cert` with `tls_client_key`",
        ),
        (
            with(https, |tls| {
                tls.authorities = Some(pem_text(&ours.pem));
                tls.server_name = Some("not a name".to_owned());
            }),
            "`tls_server_name`",
        ),
    ];
    for (route, named) in cases {
        let refused = Routes::new(&[route], &Roots::default(), &limits())
            .err()
            .unwrap();
        let refused = format!("{refused:#}");
        assert!(refused.contains("route `app.example.com`"), "{refused}");
        assert!(refused.contains(named), "{refused}");
        assert!(!refused.contains("PRIVATE KEY"), "{refused}");
    }
}

#[test]
fn routes_with_equal_tls_settings_share_connections() {
    let ours = Authority::new("ours");
    let custom = |to: &str| with(to, |tls| tls.authorities = Some(pem_text(&ours.pem)));
    let anyone = |to: &str| with(to, |tls| tls.skip_verify = true);
    let pools = |routes: Vec<Route>| {
        let routes: Vec<Route> = routes
            .into_iter()
            .enumerate()
            .map(|(index, mut route)| {
                route.id = index.to_string();
                route
            })
            .collect();
        Routes::new(&routes, &Roots::default(), &limits())
            .unwrap()
            .pools
            .len()
    };
    let (http, https) = ("http://127.0.0.1:1", "https://127.0.0.1:1");
    assert_eq!(pools(vec![route(http), route(http)]), 1);
    assert_eq!(pools(vec![route(http), route("http://127.0.0.1:2")]), 2);
    assert_eq!(pools(vec![custom(https), custom(https)]), 1);
    assert_eq!(pools(vec![custom(https), anyone(https)]), 2);
    assert_eq!(
        pools(vec![custom(http), anyone(http)]),
        1,
        "no TLS, nothing to differ in"
    );
    let mut double = route(http);
    if let Target::Upstreams(upstreams) = &mut double.target {
        upstreams.endpoints.push(Endpoint {
            origin: upstreams.endpoints[0].origin.clone(),
            weight: 3,
        });
    }
    assert_eq!(pools(vec![double]), 1);
}

#[test]
fn a_route_without_upstreams_has_no_destination() {
    let mut config = Config::read(
        &json!({"routes": [{"from": "https://app.example.com", "response": {"status": 200, "body": "hello"},
            "allow_public_unauthenticated_access": true}]}),
        &|_| None,
    )
    .unwrap()
    .config;
    let route = config.routes.remove(0);
    let id = http::HeaderValue::from_str(&route.id).unwrap();
    let routes = Routes::new(&[route], &Roots::default(), &limits()).unwrap();
    assert!(routes.find(&id).is_none());
}

#[tokio::test]
async fn a_provider_is_verified_like_any_server() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let server = Server::start(&ours.issue(&["localhost"], 1), None).await;
    let connects = async |trust: Trust| {
        let origin = server.origin("localhost");
        let connector = Connector::new(&origin, &trust, &Roots::default()).unwrap();
        connector.connect().await.is_ok()
    };
    assert!(connects(Trust::Pem(ours.pem.as_str().into())).await);
    assert!(connects(Trust::Anyone).await);
    assert!(!connects(Trust::Pem(others.pem.as_str().into())).await);
}
