//! An application behind the proxy: it records what it gets, answers 200, and echoes websockets.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// A request as the upstream got it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method.
    pub method: Method,
    /// Path and query, byte for byte.
    pub target: String,
    /// Headers.
    pub headers: HeaderMap,
    body: Arc<OnceLock<Bytes>>,
}

impl Seen {
    /// The body, once it has arrived whole.
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        self.body.get()
    }

    /// All values of a header.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers
            .get_all(name)
            .iter()
            .map(http::HeaderValue::as_bytes)
            .collect()
    }
}

/// A running upstream. Dropping it closes its port and its connections.
pub struct Upstream {
    name: &'static str,
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    _server: JoinSet<()>,
}

impl Upstream {
    /// Starts one; its answers are `NAME METHOD TARGET`.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(name: &'static str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, name, Arc::clone(&seen)));
        Ok(Self {
            name,
            port,
            seen,
            _server: server,
        })
    }

    /// For `to` in a route.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it answers.
    #[must_use]
    pub fn answer(&self, method: &str, target: &str) -> String {
        format!("{} {method} {target}", self.name)
    }

    /// Takes out what it has got since the last call.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve(listener: TcpListener, name: &'static str, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let seen = Arc::clone(&seen);
        connections.spawn(connection(stream, name, seen));
    }
}

async fn connection(stream: TcpStream, name: &'static str, seen: Arc<Mutex<Vec<Seen>>>) {
    let answer = service_fn(|request| answer(request, name, &seen));
    // A client that breaks off is not the upstream's concern.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .with_upgrades()
        .await;
}

async fn answer(
    mut request: Request<Incoming>,
    name: &str,
    seen: &Mutex<Vec<Seen>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.uri().to_string();
    let text = format!("{name} {} {target}", request.method());
    let body = Arc::default();
    // The head counts, whether or not a body follows.
    let one = Seen {
        method: request.method().clone(),
        target,
        headers: request.headers().clone(),
        body: Arc::clone(&body),
    };
    seen.lock()
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
    Ok(Response::new(Full::new(Bytes::from(text))))
}

fn switching_protocols(accept: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, http::HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, http::HeaderValue::from_static("websocket"));
    if let Ok(accept) = accept.parse() {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Sends every message back until the client closes.
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
