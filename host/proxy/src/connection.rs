//! One client connection: TLS, the choice between HTTP/1.1 and HTTP/2, its idle end and its orderly end.

mod client;
mod framing;
mod heard;
mod proxy_protocol;
mod slots;
mod stream;
mod watched;

pub(crate) use client::{Active, Client};
pub(crate) use slots::{ConnectionSlot, ConnectionSlots};

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jetway_core::http::head_size;
use rustls::ProtocolVersion;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsStream, server};

use crate::body::{Body, BoxError};
use crate::exchange::exchange;
use crate::serve::{Generations, Proxy};
use crate::tls::peer_certificate;
use crate::transport::Transport;
use crate::upstream::prepare;
use crate::wasm::{ConnectionFacts, TlsFacts};
use crate::{access, limits};
use framing::{Framing, Heads};
use heard::{Ear, Heard};
use proxy_protocol::{Ends, Refused};
use stream::Streams;
use watched::watched;

/// Numbers connections for the plugin.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Serves a connection to its end: its requests under the configuration that is in force when they come, the connection
/// itself under the one that was when it was accepted.
pub(crate) async fn serve(
    generations: Rc<Generations>,
    stream: TcpStream,
    peer: SocketAddr,
    slot: ConnectionSlot,
) {
    prepare(&stream);
    let proxy = generations.current();
    let opened = tokio::select! {
        opened = open(&proxy, stream, peer, &slot) => opened,
        () = slot.evicted() => None,
    };
    let Some((ends, transport, tls)) = opened else {
        return;
    };
    let facts = ConnectionFacts {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        peer: ends.source,
        destination: ends.destination,
        tls,
    };
    let (ear, framing) = (Ear::default(), Framing::default());
    let requests = (ear.clone(), framing.clone());
    let client = Client::new(facts, proxy.idle_timeout, requests, slot);
    let outdated = proxy.outdated();
    drop(proxy);
    let requests = {
        let (generations, client) = (Rc::clone(&generations), Rc::clone(&client));
        service_fn(move |request: Request<Incoming>| {
            exchange(generations.current(), Rc::clone(&client), request)
        })
    };
    let ordered = async {
        match outdated {
            Some(outdated) => outdated.or(&generations.stop).await,
            None => generations.stop.ordered().await,
        }
    };
    let end = if transport.speaks_http2() {
        let connection = http2_settings().serve_connection(TokioIo::new(transport), requests);
        drive(connection, &client, ordered).await
    } else {
        let heard = Heard::by(ear, Heads::for_handle(framing), transport);
        let connection = http1_settings().serve_connection(TokioIo::new(heard), requests);
        drive(connection.with_upgrades(), &client, ordered).await
    };
    if let Err(error) = end {
        ended(&error, &client, &generations.current());
    }
}

/// Prepares a connection for its first request: PROXY protocol header and TLS handshake. `None` ends the connection.
async fn open(
    proxy: &Proxy,
    mut stream: TcpStream,
    peer: SocketAddr,
    slot: &ConnectionSlot,
) -> Option<(Ends, Transport, Option<TlsFacts>)> {
    let own = Ends::new(peer, stream.local_addr().ok()?);
    let ends = match read_proxy_header(proxy, &mut stream, peer).await? {
        // The client is known only now.
        Some(ends) if !proxy.trusted_proxies.any() && !slot.assign_client(ends.source.ip()) => {
            return None;
        }
        announced => announced.unwrap_or(own),
    };
    let (transport, tls) = secure(proxy, stream).await?;
    Some((ends, transport, tls))
}

/// Reads the ends of the connection from the PROXY protocol header. The inner `None` means that there is none to replace
/// the connection's own ends; the outer `None` ends the connection.
async fn read_proxy_header(
    proxy: &Proxy,
    stream: &mut TcpStream,
    peer: SocketAddr,
) -> Option<Option<Ends>> {
    if !proxy.proxy_protocol {
        return Some(None);
    }
    match timeout(limits::PROXY_HEADER, proxy_protocol::read(stream)).await {
        Ok(Ok(announced)) => Some(announced),
        // Health checks connect and say nothing.
        Ok(Err(Refused::Broken(error))) => {
            tracing::debug!(%peer, %error, "no PROXY protocol header");
            None
        }
        // The operator has to know: without the header nobody gets in.
        Ok(Err(refused)) => {
            access::refused_connection(peer, refused);
            None
        }
        Err(_) => {
            access::refused_connection(peer, "no PROXY protocol header came in time");
            None
        }
    }
}

/// The TLS handshake, if the listener speaks TLS; `None` ends the connection.
async fn secure(proxy: &Proxy, stream: TcpStream) -> Option<(Transport, Option<TlsFacts>)> {
    let Some(acceptor) = &proxy.tls else {
        return Some((Transport::Plain(stream), None));
    };
    match timeout(limits::TLS_HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let facts = tls_facts(&stream)?;
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

/// What is known of a session; `None` when its client's certificate cannot be told, which a checked one always can.
fn tls_facts(stream: &server::TlsStream<TcpStream>) -> Option<TlsFacts> {
    let (_, session) = stream.get_ref();
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let shown = session.peer_certificates().and_then(<[_]>::first);
    Some(TlsFacts {
        version,
        server_name: session.server_name().map(str::to_owned),
        certificate: match shown {
            Some(certificate) => Some(peer_certificate(certificate)?),
            None => None,
        },
    })
}

fn http1_settings() -> http1::Builder {
    let mut settings = http1::Builder::new();
    settings
        .timer(TokioTimer::new())
        // Its clock would run while the connection is idle, too: `Client::due` tells the two apart.
        .header_read_timeout(None)
        .max_header_size(head_size::READ_BYTES)
        .max_buf_size(limits::CONNECTION_BUFFER);
    settings
}

fn http2_settings() -> http2::Builder<Streams> {
    let (interval, patience) = limits::HTTP2_PING;
    let mut settings = http2::Builder::new(Streams);
    settings
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::HTTP2_STREAMS)
        .max_header_list_size(u32::try_from(limits::HTTP2_HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(interval)
        .keep_alive_timeout(patience);
    settings
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

impl<I, S> Graceful for http2::Connection<I, S, Streams>
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

async fn drive(
    connection: impl Graceful,
    client: &Client,
    ordered: impl Future<Output = ()>,
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    let mut flush = limits::CONNECTION_FLUSH;
    let end = tokio::select! {
        end = watched(connection.as_mut(), || client.due()) => Some(end),
        () = ordered => None,
        () = client.evicted() => {
            flush = limits::EVICTION_FLUSH;
            None
        }
    };
    match end {
        Some(Ok(result)) => return result,
        // An answer came to a standstill: what is left of it is not sent.
        Some(Err(_)) if client.is_busy() => return Ok(()),
        Some(Err(_)) | None => connection.as_mut().end(),
    }
    loop {
        let flushing = timeout(flush, connection.as_mut());
        match watched(flushing, || client.answer_due()).await {
            Ok(Ok(result)) => return result,
            // Requests in progress may take their time; a client that merely does not read may not.
            Ok(Err(_)) if client.is_protected() => {}
            Ok(Err(_)) | Err(_) => return Ok(()),
        }
    }
}

/// Logs why a connection ended. A request that the HTTP library cannot read was answered by it and never became one here,
/// so that this is the only line about it.
fn ended(error: &hyper::Error, client: &Client, proxy: &Proxy) {
    if error.is_parse() {
        access::unreadable(client.facts.peer.ip(), &proxy.request_ids.next(), error);
    } else {
        tracing::debug!(%error, "a client connection ended");
    }
}
