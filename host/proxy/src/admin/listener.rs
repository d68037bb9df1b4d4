//! Accepts the connections of an admin listener.

use std::convert::Infallible;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::endpoint::answer;
use super::{Audience, Overview};
use crate::limits;

/// A listener and what it serves.
pub(crate) struct AdminListener {
    /// The socket.
    pub(crate) socket: AdminSocket,
    /// TLS; `None` for plain HTTP.
    pub(crate) tls: Option<TlsAcceptor>,
    /// The clients that it is for.
    pub(crate) audience: Audience,
}

/// The socket of an admin listener, which does not block.
pub(crate) enum AdminSocket {
    /// Listens on an IP address.
    Tcp(std::net::TcpListener),
    /// Listens on a path.
    Unix(std::os::unix::net::UnixListener),
}

enum Listening {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

/// Serves a listener without end. Each connection carries one request.
pub(super) async fn serve(listener: AdminListener, overview: Arc<Overview>) {
    let AdminListener {
        socket,
        tls,
        audience,
    } = listener;
    let checks_host = is_loopback(&socket);
    let socket = match open(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, "an admin listener cannot be used");
            return;
        }
    };
    let permits = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let Some(stream) = accept(&socket).await else {
            sleep(limits::ACCEPT_PAUSE).await;
            continue;
        };
        let (tls, audience) = (tls.clone(), audience.clone());
        let overview = Arc::clone(&overview);
        spawn_local(async move {
            let serving = async {
                match tls {
                    None => serve_connection(stream, &audience, checks_host, &overview).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve_connection(stream, &audience, checks_host, &overview).await;
                        }
                    }
                }
            };
            // A client that takes longer than this is cut off.
            let _ = timeout(limits::ADMIN_REQUEST, serving).await;
            drop(permit);
        });
    }
}

/// Returns whether other programs than those of this machine cannot reach the socket, and web pages in its browsers can.
fn is_loopback(socket: &AdminSocket) -> bool {
    match socket {
        AdminSocket::Tcp(listener) => listener
            .local_addr()
            .is_ok_and(|address| address.ip().to_canonical().is_loopback()),
        AdminSocket::Unix(_) => false,
    }
}

fn open(socket: AdminSocket) -> std::io::Result<Listening> {
    match socket {
        AdminSocket::Tcp(listener) => {
            tokio::net::TcpListener::from_std(listener).map(Listening::Tcp)
        }
        AdminSocket::Unix(listener) => {
            tokio::net::UnixListener::from_std(listener).map(Listening::Unix)
        }
    }
}

trait ByteStream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> ByteStream for T {}

async fn accept(socket: &Listening) -> Option<Box<dyn ByteStream>> {
    match socket {
        Listening::Tcp(listener) => {
            let (stream, _) = listener.accept().await.ok()?;
            Some(Box::new(stream))
        }
        Listening::Unix(listener) => {
            let (stream, _) = listener.accept().await.ok()?;
            Some(Box::new(stream))
        }
    }
}

async fn serve_connection(
    stream: impl ByteStream,
    audience: &Audience,
    checks_host: bool,
    overview: &Overview,
) {
    let service = service_fn(|request: Request<Incoming>| {
        std::future::ready(Ok::<_, Infallible>(answer(
            &request,
            audience,
            checks_host,
            overview,
        )))
    });
    let mut settings = http1::Builder::new();
    settings
        .timer(TokioTimer::new())
        .header_read_timeout(limits::ADMIN_REQUEST)
        .max_buf_size(limits::ADMIN_HEAD_BYTES)
        .keep_alive(false);
    let served = settings
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to an admin listener ended");
    }
}
