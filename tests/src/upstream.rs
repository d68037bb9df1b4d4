//! An application behind the proxy: it records its requests, answers 200, and echoes websockets. It may speak TLS, add
//! headers to its responses, or not answer at all.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::{Authority, Issued, Seen, SeenTls, Stream};

/// How an upstream answers.
#[derive(Clone, Debug, Default)]
pub enum Manner {
    /// With 200 and `NAME METHOD TARGET`, at once.
    #[default]
    Answers,
    /// With this status and these additional headers, at once.
    AnswersWith(StatusCode, HeaderMap),
    /// Never, while the proxy waits.
    IsSilent,
    /// With a head and the first bytes of a body that never ends.
    Stalls,
}

/// A running upstream. Dropping it closes its port and its connections.
pub struct Upstream {
    app: Arc<App>,
    port: u16,
    tls: bool,
    _server: JoinSet<()>,
}

/// The state that all connections of an upstream share.
struct App {
    name: String,
    seen: Mutex<Vec<Seen>>,
    manner: Mutex<Manner>,
}

impl Upstream {
    /// Starts an upstream; its responses are `NAME METHOD TARGET`.
    ///
    /// # Errors
    /// Returns an error when there is no port.
    pub async fn start(name: &str) -> Result<Self> {
        Self::listen(name, None).await
    }

    /// Starts an upstream that speaks TLS with this certificate, and only with clients of `clients` if it is given.
    ///
    /// # Errors
    /// Returns an error when there is no port.
    pub async fn start_tls(
        name: &str,
        identity: &Issued,
        clients: Option<&Authority>,
    ) -> Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(server_tls(identity, clients)?));
        Self::listen(name, Some(acceptor)).await
    }

    async fn listen(name: &str, acceptor: Option<TlsAcceptor>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let app = Arc::new(App {
            name: name.to_owned(),
            seen: Mutex::default(),
            manner: Mutex::default(),
        });
        let tls = acceptor.is_some();
        let mut server = JoinSet::new();
        server.spawn(serve(listener, acceptor, Arc::clone(&app)));
        Ok(Self {
            app,
            port,
            tls,
            _server: server,
        })
    }

    /// Returns the address for `to` in a route.
    #[must_use]
    pub fn address(&self) -> String {
        self.address_as("127.0.0.1")
    }

    /// Returns the address for `to` in a route, by another name of this machine.
    #[must_use]
    pub fn address_as(&self, host: &str) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{host}:{}", self.port)
    }

    /// Returns host and port of [`Upstream::address`], as they appear in `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns its response to a request.
    #[must_use]
    pub fn answer(&self, method: &str, target: &str) -> String {
        format!("{} {method} {target}", self.app.name)
    }

    /// Changes its behaviour from the next request on.
    pub fn behave(&self, manner: Manner) {
        *self
            .app
            .manner
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// Takes the requests since the last call.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.app.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the one request since the last call.
    ///
    /// # Errors
    /// Returns an error when there was none or more than one.
    pub fn take_one(&self) -> Result<Seen> {
        let mut seen = self.take();
        match (seen.pop(), seen.is_empty()) {
            (Some(one), true) => Ok(one),
            (None, _) => bail!("upstream `{}` saw nothing", self.app.name),
            (Some(_), false) => bail!(
                "upstream `{}` saw {} requests",
                self.app.name,
                seen.len() + 1
            ),
        }
    }
}

fn server_tls(identity: &Issued, clients: Option<&Authority>) -> Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate())?;
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = identity.pair();
    Ok(builder.with_single_cert(chain, key)?)
}

async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>, app: Arc<App>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, acceptor.clone(), Arc::clone(&app)));
    }
}

async fn connection(tcp: TcpStream, acceptor: Option<TlsAcceptor>, app: Arc<App>) {
    let (stream, tls): (Box<dyn Stream>, _) = match acceptor {
        None => (Box::new(tcp), None),
        // A proxy that does not trust this upstream closes the connection, and so does the upstream.
        Some(acceptor) => match acceptor.accept(tcp).await {
            Ok(stream) => {
                let session = stream.get_ref().1;
                let tls = SeenTls {
                    server_name: session.server_name().map(ToOwned::to_owned),
                    client: session
                        .peer_certificates()
                        .and_then(|chain| chain.first())
                        .map(|certificate| certificate.clone().into_owned()),
                };
                (Box::new(stream), Some(tls))
            }
            Err(_) => return,
        },
    };
    let answer = service_fn(|request| answer(request, &app, tls.clone()));
    // A closed connection is not an error.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .with_upgrades()
        .await;
}

/// A body whose end may never come.
type UpstreamBody = BoxBody<Bytes, Infallible>;

async fn answer(
    mut request: Request<Incoming>,
    app: &App,
    tls: Option<SeenTls>,
) -> Result<Response<UpstreamBody>, Infallible> {
    let target = request.uri().to_string();
    let text = format!("{} {} {target}", app.name, request.method());
    let body = Arc::default();
    // The head counts, whether or not a body follows.
    let one = Seen {
        method: request.method().clone(),
        target,
        headers: request.headers().clone(),
        tls,
        body: Arc::clone(&body),
    };
    app.seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(one);
    if let Ok(whole) = request.body_mut().collect().await {
        let _ = body.set(whole.to_bytes());
    }

    let upgrade = request
        .headers()
        .get(UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).filter(|_| upgrade) {
        let accept = derive_accept_key(key.as_bytes());
        tokio::spawn(echo(request));
        return Ok(switching_protocols(accept));
    }
    let manner = app
        .manner
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let whole = Full::new(Bytes::from(text)).boxed();
    Ok(match manner {
        Manner::Answers => Response::new(whole),
        Manner::AnswersWith(status, headers) => {
            let mut response = Response::new(whole);
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            response
        }
        Manner::IsSilent => std::future::pending().await,
        Manner::Stalls => Response::new(BodyExt::boxed(StreamBody::new(stalled()))),
    })
}

/// Some bytes and then nothing, without an end.
fn stalled() -> impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> {
    futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"and then")))])
        .chain(futures_util::stream::pending())
}

fn switching_protocols(accept: String) -> Response<UpstreamBody> {
    let mut response = Response::new(Full::default().boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, http::HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, http::HeaderValue::from_static("websocket"));
    if let Ok(accept) = accept.parse() {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Sends every message back until the client closes the websocket.
async fn echo(request: Request<Incoming>) {
    let Ok(stream) = hyper::upgrade::on(request).await else {
        return;
    };
    let mut channel =
        WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
    while let Some(Ok(message)) = channel.next().await {
        if (message.is_text() || message.is_binary()) && channel.send(message).await.is_err() {
            return;
        }
    }
}
