//! Prepares a connection for its first request: PROXY protocol header and TLS handshake.

use std::net::SocketAddr;
use std::time::Instant;

use rustls::ProtocolVersion;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsStream, server};

use super::proxy_protocol::{self, ConnectionEnds, HeaderError};
use crate::proxy::Proxy;
use crate::slots::ConnectionSlot;
use crate::tls::read_peer_certificate;
use crate::transport::Transport;
use crate::wasm::TlsFacts;
use crate::{access, limits};

/// A connection that is ready for requests.
pub(super) struct OpenConnection {
    /// The client's address, and the address that the client connected to.
    pub(super) ends: ConnectionEnds,
    /// The byte stream.
    pub(super) transport: Transport,
    /// The TLS session; `None` for plain HTTP.
    pub(super) tls: Option<TlsFacts>,
}

/// Prepares a connection; `None` ends it.
pub(super) async fn open(
    proxy: &Proxy,
    mut stream: TcpStream,
    peer: SocketAddr,
    slot: &ConnectionSlot,
) -> Option<OpenConnection> {
    let own = ConnectionEnds::new(peer, stream.local_addr().ok()?);
    let ends = match read_proxy_header(proxy, &mut stream, peer).await? {
        // The client is known only now.
        Some(ends) if !proxy.trusted_proxies.any() && !slot.assign_client(ends.source.ip()) => {
            return None;
        }
        announced => announced.unwrap_or(own),
    };
    let (transport, tls) = secure(proxy, stream).await?;
    Some(OpenConnection {
        ends,
        transport,
        tls,
    })
}

/// Reads the ends of the connection from the PROXY protocol header. The inner `None` means that the header does not replace
/// the connection's own ends; the outer `None` ends the connection.
async fn read_proxy_header(
    proxy: &Proxy,
    stream: &mut TcpStream,
    peer: SocketAddr,
) -> Option<Option<ConnectionEnds>> {
    if !proxy.has_proxy_protocol {
        return Some(None);
    }
    match timeout(limits::PROXY_HEADER, proxy_protocol::read(stream)).await {
        Ok(Ok(announced)) => Some(announced),
        // Health checks connect and send nothing.
        Ok(Err(HeaderError::Broken(error))) => {
            tracing::debug!(%peer, %error, "no PROXY protocol header");
            None
        }
        // The operator has to know, because without the header no client gets in.
        Ok(Err(error)) => {
            access::log_refused_connection(peer, error);
            None
        }
        Err(_) => {
            access::log_refused_connection(peer, "no PROXY protocol header arrived in time");
            None
        }
    }
}

/// Performs the TLS handshake, if the listener speaks TLS; `None` ends the connection.
async fn secure(proxy: &Proxy, stream: TcpStream) -> Option<(Transport, Option<TlsFacts>)> {
    let Some(acceptor) = &proxy.tls else {
        return Some((Transport::Plain(stream), None));
    };
    let started = Instant::now();
    let result = timeout(limits::TLS_HANDSHAKE, acceptor.accept(stream)).await;
    match &result {
        Ok(Ok(_)) => proxy.metrics.handshake.observe(started.elapsed()),
        Ok(Err(_)) | Err(_) => proxy.metrics.failed_handshakes.increment(),
    }
    match result {
        Ok(Ok(stream)) => {
            let facts = read_tls_facts(&stream)?;
            let stream = Box::new(TlsStream::Server(stream));
            Some((Transport::Tls(stream), Some(facts)))
        }
        // Port scanners, and browsers that do not trust the certificate: the operator can do nothing about them.
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

/// Returns the facts of a TLS session for the plugin; `None` when the client's certificate cannot be read, which does not
/// happen after the handshake has checked it.
fn read_tls_facts(stream: &server::TlsStream<TcpStream>) -> Option<TlsFacts> {
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
            Some(certificate) => Some(read_peer_certificate(certificate)?),
            None => None,
        },
    })
}
