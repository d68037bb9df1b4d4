//! The provider as a server: TLS, HTTP/1.1, a thread of its own.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::{Asked, Provider, pages};

/// Most concurrent connections: a handful of users with six connections each.
const MAX_CONNECTIONS: usize = 128;
/// Timeout of a TLS handshake, a request head and a request body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest lifetime of a connection: no request takes long.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(120);
/// Longest request body in bytes; a token request has about 400.
const MAX_BODY: usize = 16 * 1024;
/// Pause after a failed accept (out of file descriptors), without which the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running provider. Dropping it stops it.
pub(crate) struct Listening {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The provider cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// The address is in use or does not belong to this machine.
    #[error(
        "the demo provider cannot listen on `{address}`: {cause}; `--provider-port` takes another port"
    )]
    Listen {
        address: SocketAddr,
        cause: io::Error,
    },
    /// The system has no thread or no event loop to give.
    #[error("the demo provider cannot be started: {0}")]
    Start(#[from] io::Error),
}

impl Listening {
    /// Starts to serve at `address`.
    ///
    /// # Errors
    /// Returns an error for an address that cannot be used, or for a system without resources.
    pub(crate) fn start(
        provider: Provider,
        address: SocketAddr,
        tls: Arc<rustls::ServerConfig>,
    ) -> Result<Self, ServerError> {
        let listener =
            TcpListener::bind(address).map_err(|cause| ServerError::Listen { address, cause })?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let provider = Arc::new(Mutex::new(provider));
        let thread = std::thread::Builder::new()
            .name("demo-provider".to_owned())
            .spawn(move || {
                runtime.block_on(serve(listener, provider, TlsAcceptor::from(tls), stopped))
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Dropping the sender ends the thread's loop, and the end of its runtime closes the connections.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn serve(
    listener: TcpListener,
    provider: Arc<Mutex<Provider>>,
    tls: TlsAcceptor,
    mut stopped: oneshot::Receiver<()>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(cause) => {
            tracing::error!(%cause, "the demo provider cannot listen");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = connection(stream, tls.clone(), Arc::clone(&provider));
        tokio::spawn(async move {
            // A slow client, and a browser that refuses the certificate, are not worth a log line.
            drop(timeout(CONNECTION_LIFETIME, connection).await);
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, provider: Arc<Mutex<Provider>>) {
    let is_admitted = is_admitted(&stream, &provider);
    let Ok(Ok(stream)) = timeout(READ_TIMEOUT, tls.accept(stream)).await else {
        return;
    };
    let service = service_fn(move |request| {
        let provider = Arc::clone(&provider);
        async move {
            Ok::<_, Infallible>(if is_admitted {
                exchange(request, &provider).await
            } else {
                pages::foreign_account().map(Full::new)
            })
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT);
    drop(http.serve_connection(TokioIo::new(stream), service).await);
}

/// Returns whether an account whose programs may use the provider has made this connection.
fn is_admitted(stream: &TcpStream, provider: &Mutex<Provider>) -> bool {
    let (Ok(peer), Ok(here)) = (stream.peer_addr(), stream.local_addr()) else {
        return false;
    };
    let owners = lock(provider).owners.clone();
    owners.admit(peer, here)
}

/// Locks the provider. A panic elsewhere does not corrupt the stored sign-ins, so a poisoned lock is used all the same.
fn lock(provider: &Mutex<Provider>) -> MutexGuard<'_, Provider> {
    provider.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn exchange(request: Request<Incoming>, provider: &Mutex<Provider>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = match timeout(READ_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return pages::problem(
                StatusCode::BAD_REQUEST,
                "the request is too long or broke off",
            )
            .map(Full::new);
        }
        Err(_) => {
            return pages::problem(StatusCode::REQUEST_TIMEOUT, "the request took too long")
                .map(Full::new);
        }
    };
    // A HEAD request is handled like GET; hyper omits the body.
    let method = if head.method == Method::HEAD {
        Method::GET
    } else {
        head.method
    };
    let asked = Asked {
        method: &method,
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: &body,
        now: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
    };
    lock(provider).answer(&asked).map(Full::new)
}
