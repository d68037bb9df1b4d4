//! One client connection: TLS, the choice between HTTP/1.1 and HTTP/2, and its end when it is idle, evicted or shut down.

mod open;
mod proxy_protocol;

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jetway_core::http::head_size;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::body::BoxError;
use crate::client::{
    Client, Framing, HeadFinder, ReadFlag, ReadObserver, StreamExecutor, with_moving_deadline,
};
use crate::exchange::{ResponseBody, handle_request};
use crate::proxy::{Generations, Proxy};
use crate::shutdown::Shutdown;
use crate::slots::ConnectionSlot;
use crate::transport::{Transport, set_socket_options};
use crate::wasm::ConnectionFacts;
use crate::{access, limits};
use open::open;

/// The next number of a connection for the plugin.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Serves a connection to its end. Its requests use the configuration that is active when they arrive; the connection itself
/// uses the one that was active when it was accepted.
pub(crate) async fn serve(
    generations: Rc<Generations>,
    stream: TcpStream,
    peer: SocketAddr,
    slot: ConnectionSlot,
) {
    set_socket_options(&stream);
    let proxy = generations.current();
    let opened = tokio::select! {
        opened = open(&proxy, stream, peer, &slot) => opened,
        () = slot.evicted() => None,
        // A silent connection does not delay the end of the proxy.
        () = wait_for_last_request(generations.shutdown.triggered(), &generations.shutdown) => None,
    };
    let Some(connection) = opened else {
        return;
    };
    let facts = ConnectionFacts {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        peer: connection.ends.source,
        destination: connection.ends.destination,
        tls: connection.tls,
    };
    let (was_read, framing) = (ReadFlag::default(), Framing::default());
    let observers = (was_read.clone(), framing.clone());
    let client = Client::new(facts, proxy.idle_timeout, observers, slot);
    let observed = ReadObserver::new(was_read, HeadFinder::new(framing), connection.transport);
    let outdated = proxy.outdated();
    drop(proxy);
    if let Err(error) = serve_http(&generations, &client, observed, outdated).await {
        log_connection_error(&error, &client, &generations.current());
    }
}

/// Serves the requests of a connection with the version of HTTP that the TLS handshake negotiated.
async fn serve_http(
    generations: &Rc<Generations>,
    client: &Rc<Client>,
    connection: ReadObserver<Transport>,
    outdated: Option<Shutdown>,
) -> hyper::Result<()> {
    let handle = {
        let (generations, client) = (Rc::clone(generations), Rc::clone(client));
        move |request: Request<Incoming>| {
            handle_request(generations.current(), Rc::clone(&client), request)
        }
    };
    let shutdown = &generations.shutdown;
    if connection.get_ref().has_http2() {
        // The frame GOAWAY loses no request, once the client has seen that the connection works.
        let drain = async {
            shutdown.draining().await;
            if !client.has_requests() {
                shutdown.last_request().await;
            }
        };
        let io = TokioIo::new(connection.into_inner());
        let connection = http2_settings().serve_connection(io, service_fn(handle));
        drive(connection, client, wait_for_end(drain, outdated)).await
    } else {
        let drain = wait_for_last_request(shutdown.draining(), shutdown);
        let requests = service_fn(move |request| {
            let response = handle(request);
            async move {
                let mut response = response.await;
                if let Ok(response) = &mut response {
                    announce_end(response, shutdown);
                }
                response
            }
        });
        let io = TokioIo::new(connection);
        let connection = http1_settings().serve_connection(io, requests);
        let end = wait_for_end(drain, outdated);
        drive(connection.with_upgrades(), client, end).await
    }
}

/// Tells an HTTP/1 client that the connection ends with this response, when the proxy drains connections. Without it, the
/// client could send its next request just when the connection is closed.
fn announce_end(response: &mut Response<ResponseBody>, shutdown: &Shutdown) {
    let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if shutdown.is_draining() && !is_upgrade {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
}

/// Completes when a connection has had time for one more request after an event.
async fn wait_for_last_request(event: impl Future<Output = ()>, shutdown: &Shutdown) {
    event.await;
    shutdown.last_request().await;
}

/// Completes when the connection was drained, or when its configuration is outdated.
async fn wait_for_end(drain: impl Future<Output = ()>, outdated: Option<Shutdown>) {
    let outdated = async {
        match outdated {
            Some(outdated) => outdated.triggered().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = drain => {}
        () = outdated => {}
    }
}

fn http1_settings() -> http1::Builder {
    let mut settings = http1::Builder::new();
    settings
        .timer(TokioTimer::new())
        // This timer would run while the connection is idle, too: `Client::due` distinguishes the two.
        .header_read_timeout(None)
        .max_header_size(head_size::READ_BYTES)
        .max_buf_size(limits::CONNECTION_BUFFER);
    settings
}

fn http2_settings() -> http2::Builder<StreamExecutor> {
    let (interval, patience) = limits::HTTP2_PING;
    let mut settings = http2::Builder::new(StreamExecutor);
    settings
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::HTTP2_STREAMS)
        .max_header_list_size(u32::try_from(limits::HTTP2_HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(interval)
        .keep_alive_timeout(patience);
    settings
}

/// A connection that can end after the requests in progress.
trait GracefulConnection: Future<Output = hyper::Result<()>> {
    fn end(self: Pin<&mut Self>);
}

impl<I, S> GracefulConnection for http1::UpgradeableConnection<I, S>
where
    I: Read + Write + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = ResponseBody>,
    S::Error: Into<BoxError>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> GracefulConnection for http2::Connection<I, S, StreamExecutor>
where
    I: Read + Write + Unpin + 'static,
    S: HttpService<Incoming, ResBody = ResponseBody>,
    S::Error: Into<BoxError>,
    S::Future: 'static,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs a connection until it ends, is idle for too long, is evicted, or `end` completes.
async fn drive(
    connection: impl GracefulConnection,
    client: &Client,
    end: impl Future<Output = ()>,
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    let mut flush = limits::CONNECTION_FLUSH;
    let result = tokio::select! {
        result = with_moving_deadline(connection.as_mut(), || client.due()) => Some(result),
        () = end => None,
        () = client.evicted() => {
            flush = limits::EVICTION_FLUSH;
            None
        }
    };
    match result {
        Some(Ok(result)) => return result,
        // A response came to a standstill. The rest of it is not sent.
        Some(Err(_)) if client.is_busy() => return Ok(()),
        Some(Err(_)) | None => connection.as_mut().end(),
    }
    loop {
        let flushing = timeout(flush, connection.as_mut());
        match with_moving_deadline(flushing, || client.response_due()).await {
            Ok(Ok(result)) => return result,
            // Requests in progress keep the connection open; a client that only does not read does not.
            Ok(Err(_)) if client.is_protected() => {}
            Ok(Err(_)) | Err(_) => return Ok(()),
        }
    }
}

/// Logs why a connection ended. The HTTP library itself answers a request that it cannot read, so that such a request has no
/// other line in the log.
fn log_connection_error(error: &hyper::Error, client: &Client, proxy: &Proxy) {
    if error.is_parse() {
        let client = client.facts.peer.ip();
        access::log_unreadable_request(client, &proxy.request_ids.next(), error);
    } else {
        tracing::debug!(%error, "a client connection ended");
    }
}
