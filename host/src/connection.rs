//! One client connection: TLS, the choice between HTTP/1.1 and HTTP/2, its idle end and its orderly end.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Request;
use hyper::body::Incoming;
use hyper::rt::{Executor, Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ProtocolVersion;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::{TlsStream, server};

use crate::body::{Body, BoxError};
use crate::exchange::exchange;
use crate::limits;
use crate::serve::Proxy;
use crate::transport::Transport;
use crate::upstream::prepare;
use crate::wasm::{ConnectionFacts, TlsFacts};

/// Numbers connections for the plugin.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A client's connection as its requests see it.
pub(crate) struct Client {
    /// What the plugin may ask about it.
    pub(crate) facts: Rc<ConnectionFacts>,
    requests: Cell<usize>,
    last: Cell<Instant>,
    /// Given back when the connection and every tunnel that came out of it have ended.
    _permit: OwnedSemaphorePermit,
}

/// A request in progress: while there is one, the connection is not idle.
pub(crate) struct Active {
    client: Rc<Client>,
}

impl Client {
    /// Notes that a request began.
    pub(crate) fn begin(self: &Rc<Self>) -> Active {
        self.requests.set(self.requests.get().saturating_add(1));
        Active {
            client: Rc::clone(self),
        }
    }

    fn is_busy(&self) -> bool {
        self.requests.get() > 0
    }

    /// Completes when there was no request for [`limits::CONNECTION_IDLE`].
    async fn idle(&self) {
        loop {
            sleep_until(self.last.get() + limits::CONNECTION_IDLE).await;
            if self.is_busy() {
                self.last.set(Instant::now());
            } else if self.last.get().elapsed() >= limits::CONNECTION_IDLE {
                return;
            }
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.client
            .requests
            .set(self.client.requests.get().saturating_sub(1));
        self.client.last.set(Instant::now());
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(
    proxy: Rc<Proxy>,
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
) {
    prepare(&stream);
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let Some((transport, tls)) = secure(&proxy, stream).await else {
        return;
    };
    let facts = ConnectionFacts {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        source: peer,
        destination: local,
        tls,
    };
    let client = Rc::new(Client {
        facts: Rc::new(facts),
        requests: Cell::new(0),
        last: Cell::new(Instant::now()),
        _permit: permit,
    });
    let http2 = transport.speaks_http2();
    let io = TokioIo::new(transport);
    let requests = {
        let (proxy, client) = (Rc::clone(&proxy), Rc::clone(&client));
        service_fn(move |request: Request<Incoming>| {
            exchange(Rc::clone(&proxy), Rc::clone(&client), request)
        })
    };
    if http2 {
        drive(
            http2_settings().serve_connection(io, requests),
            &client,
            &proxy,
        )
        .await;
    } else {
        drive(
            http1_settings()
                .serve_connection(io, requests)
                .with_upgrades(),
            &client,
            &proxy,
        )
        .await;
    }
}

/// The TLS handshake, if the listener speaks TLS; `None` ends the connection.
async fn secure(proxy: &Proxy, stream: TcpStream) -> Option<(Transport, Option<TlsFacts>)> {
    let Some(acceptor) = &proxy.tls else {
        return Some((Transport::Plain(stream), None));
    };
    match timeout(limits::TLS_HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let facts = tls_facts(&stream);
            Some((
                Transport::Tls(Box::new(TlsStream::Server(stream))),
                Some(facts),
            ))
        }
        // Port scanners and browsers that do not trust the certificate: nothing for the operator to do.
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

fn tls_facts(stream: &server::TlsStream<TcpStream>) -> TlsFacts {
    let (_, session) = stream.get_ref();
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    TlsFacts {
        version,
        server_name: session.server_name().map(str::to_owned),
    }
}

fn http1_settings() -> http1::Builder {
    let mut settings = http1::Builder::new();
    settings
        .timer(TokioTimer::new())
        .header_read_timeout(limits::REQUEST_HEAD)
        .max_header_size(limits::REQUEST_HEAD_BYTES)
        .max_buf_size(limits::CONNECTION_BUFFER);
    settings
}

fn http2_settings() -> http2::Builder<Local> {
    let (interval, patience) = limits::HTTP2_PING;
    let mut settings = http2::Builder::new(Local);
    settings
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::HTTP2_STREAMS)
        .max_header_list_size(u32::try_from(limits::REQUEST_HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(interval)
        .keep_alive_timeout(patience);
    settings
}

/// Runs HTTP/2 streams as tasks of this thread.
#[derive(Clone, Copy, Debug)]
struct Local;

impl<F: Future<Output = ()> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// A connection that can be asked to end after the requests in progress.
trait Graceful: Future<Output = hyper::Result<()>> {
    fn end(self: Pin<&mut Self>);
}

impl<I, S> Graceful for http1::UpgradeableConnection<I, S>
where
    I: Read + Write + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<BoxError>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Graceful for http2::Connection<I, S, Local>
where
    I: Read + Write + Unpin + 'static,
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<BoxError>,
    S::Future: 'static,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

async fn drive(connection: impl Graceful, client: &Client, proxy: &Proxy) {
    let mut connection = pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return ended(result),
        () = client.idle() => {}
        () = proxy.stop.ordered() => {}
    }
    connection.as_mut().end();
    loop {
        match timeout(limits::CONNECTION_FLUSH, connection.as_mut()).await {
            Ok(result) => return ended(result),
            // Requests in progress may take their time; a client that merely does not read may not.
            Err(_) if client.is_busy() => {}
            Err(_) => return,
        }
    }
}

fn ended(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a client connection ended");
    }
}
