//! Tests with clients that speak TLS and show certificates, and of HTTP/2 streams, which need TLS.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jetway_core::config::UpstreamTls;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::tls::Roots;
use crate::tls::testing::{Authority, Issued};

/// Starts a proxy with TLS that asks for certificates of an authority.
pub(super) async fn rig(upstream: &Upstream, clients: Option<&Authority>, required: bool) -> Rig {
    let mut file = file_with_tls(&[json!({"to": upstream.url()})]);
    if let Some(authority) = clients {
        let enforcement = if required {
            "reject_connection"
        } else {
            "policy"
        };
        file["downstream_mtls"] =
            json!({"ca": STANDARD.encode(&authority.pem), "enforcement": enforcement});
    }
    let mut config = read(&file);
    config.routes[0].timeout = None;
    config.routes[0].idle_timeout = Some(SHORT);
    Rig::start(config)
}

/// Starts a proxy with TLS and this limit on open files.
pub(super) fn rig_within(open_files: u64, routes: &[Value]) -> Rig {
    Rig::start_within(open_files, read(&file_with_tls(routes)), plugin())
}

fn file_with_tls(routes: &[Value]) -> Value {
    let server = Authority::new("server").issue(&["app.test"], 1);
    let mut file = file(routes);
    file["insecure_server"] = false.into();
    file["certificate"] = STANDARD.encode(&server.certificate).into();
    file["certificate_key"] = STANDARD.encode(&server.key).into();
    file
}

/// Returns the configuration of a client that shows a certificate, and asks for a protocol.
pub(super) fn client_config(shown: Option<&Issued>, protocol: &[u8]) -> ClientConfig {
    let mut tls = UpstreamTls::default();
    tls.skip_verify = true;
    tls.client = shown.map(Issued::pair);
    let config = Roots::default().upstream_config(&tls).unwrap();
    let mut config: ClientConfig = Arc::unwrap_or_clone(config);
    config.alpn_protocols = vec![protocol.to_vec()];
    config
}

pub(super) async fn connect_with(
    config: &Arc<ClientConfig>,
    stream: TcpStream,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("app.test").unwrap();
    let connector = TlsConnector::from(Arc::clone(config));
    connector.connect(name, stream).await
}

impl Rig {
    pub(super) async fn shake_hands(
        &self,
        shown: Option<&Issued>,
        protocol: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.shake_hands_on(self.connect().await, shown, protocol)
            .await
    }

    pub(super) async fn shake_hands_on(
        &self,
        stream: TcpStream,
        shown: Option<&Issued>,
        protocol: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        connect_with(&Arc::new(client_config(shown, protocol)), stream).await
    }

    /// Returns the response to a request with these lines; `None` when the connection ends without one.
    async fn get_with(&self, shown: Option<&Issued>, lines: &str) -> Option<Answer> {
        let request = self.request("GET", "/", 0, &format!("connection: close\r\n{lines}"));
        let mut stream = self.shake_hands(shown, b"http/1.1").await.ok()?;
        let _ = stream.write_all(request.as_bytes()).await;
        let answer = Answer::read(&mut stream).await;
        (!answer.0.is_empty()).then_some(answer)
    }
}

#[tokio::test]
async fn the_plugin_gets_the_certificate_that_was_shown() {
    let upstream = Upstream::start().await;
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let rig = rig(&upstream, Some(&ours), false).await;
    let alice = ours.issue(&["alice.test"], 1);

    let answer = rig.get_with(Some(&alice), "").await.unwrap();
    let digest = answer.seen("x-digest").unwrap();
    let told = answer.seen("x-certificate").unwrap();
    assert!(
        told.starts_with(&format!("Hash={digest};Cert=\"-----BEGIN%20CERTIFICATE")),
        "{told}"
    );
    assert_eq!(
        answer.seen("x-forwarded-client-cert"),
        None,
        "not the upstream's business"
    );

    let forged = "x-forwarded-client-cert: Hash=evil\r\n";
    let answer = rig.get_with(None, forged).await.unwrap();
    assert_eq!(
        (answer.seen("x-certificate"), answer.seen("x-digest")),
        (None, None)
    );
    let answer = rig.get_with(Some(&alice), forged).await.unwrap();
    assert_eq!(answer.seen("x-certificate").map(str::len), Some(told.len()));
    assert!(
        rig.get_with(Some(&others.issue(&["alice.test"], 1)), "")
            .await
            .is_none()
    );
}

#[tokio::test]
async fn a_certificate_may_be_required() {
    let upstream = Upstream::start().await;
    let ours = Authority::new("ours");
    let rig = rig(&upstream, Some(&ours), true).await;
    assert!(rig.get_with(None, "").await.is_none());
    let alice = ours.issue(&["alice.test"], 1);
    assert!(rig.get_with(Some(&alice), "").await.is_some());
}

#[tokio::test]
async fn without_an_authority_the_plugin_gets_no_certificate() {
    let upstream = Upstream::start().await;
    let rig = rig(&upstream, None, false).await;
    let alice = Authority::new("ours").issue(&["alice.test"], 1);
    let answer = rig
        .get_with(Some(&alice), "x-forwarded-client-cert: Hash=evil\r\n")
        .await
        .unwrap();
    assert_eq!(
        (answer.seen("x-certificate"), answer.seen("x-digest")),
        (None, None)
    );
}

#[tokio::test]
async fn an_unread_stream_ends_without_harm_to_the_others() {
    let mut upstream = Upstream::start().await;
    let rig = rig(&upstream, None, false).await;
    let stream = rig.shake_hands(None, b"h2").await.unwrap();
    let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1024)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = |path: &str| {
        Request::get(format!("https://app.test{path}"))
            .header("x-test-route", &rig.routes[0])
            .body(Empty::<Bytes>::new())
            .unwrap()
    };
    let flood = within("an answer", client.send_request(request("/flood")))
        .await
        .unwrap();
    assert_eq!(flood.status(), 200);
    upstream.closed("/flood").await;
    let broken = within("the end of the flood", flood.into_body().collect()).await;
    assert!(broken.is_err(), "an answer that was broken off looks whole");
    let other = within("another answer", client.send_request(request("/")))
        .await
        .unwrap();
    assert_eq!(other.status(), 200);
}

/// The library sends over HTTP/2 whatever body a response has.
#[tokio::test]
async fn a_local_response_to_head_has_a_length_and_no_body() {
    let upstream = Upstream::start().await;
    let rig = rig(&upstream, None, false).await;
    let stream = rig.shake_hands(None, b"h2").await.unwrap();
    let executor = TokioExecutor::new();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(executor, TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let mut lengths = Vec::new();
    for method in ["GET", "HEAD"] {
        let request = Request::builder()
            .method(method)
            .uri("https://app.test/")
            .header("x-test-route", "none")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let answer = within("an answer", client.send_request(request)).await;
        let (head, body) = answer.unwrap().into_parts();
        assert_eq!(head.status, 503, "{method}");
        let body = within("the body", body.collect()).await.unwrap().to_bytes();
        assert_eq!(body.is_empty(), method == "HEAD", "{method}: {body:?}");
        lengths.push(head.headers["content-length"].clone());
    }
    assert_eq!(lengths[0].len(), lengths[1].len());
}
