//! One handshake, and the client's settings.

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::{Context as _, bail};
use rustls::client::Resumption as SessionStore;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion, version};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Sessions of this many servers are kept; the benchmark has one.
const SERVERS: usize = 1;

/// Whether sessions are resumed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resumption {
    Never,
    Always,
}

/// How a connection began.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Full,
    Resumed,
}

/// Returns the settings of a client that trusts one certificate and speaks one version of TLS.
pub(crate) fn config(
    certificate: &Path,
    version: &str,
    resumption: Resumption,
) -> anyhow::Result<ClientConfig> {
    let version: &'static SupportedProtocolVersion = match version {
        "1.2" => &version::TLS12,
        "1.3" => &version::TLS13,
        other => bail!("`{other}` is neither 1.2 nor 1.3"),
    };
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(certificate).context("cannot read the certificate")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = match resumption {
        Resumption::Never => SessionStore::disabled(),
        Resumption::Always => SessionStore::in_memory_sessions(SERVERS),
    };
    Ok(config)
}

/// A client of one server, which keeps its sessions.
#[derive(Clone)]
pub(crate) struct Client {
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Client {
    pub(crate) fn new(port: u16, name: ServerName<'static>, config: ClientConfig) -> Self {
        Self {
            port,
            name,
            connector: Arc::new(config).into(),
        }
    }

    /// Connects, waits for what belongs to the handshake, and closes the connection.
    pub(crate) async fn connect(&self) -> anyhow::Result<Kind> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.set_nodelay(true)?;
        let mut stream = self.connector.connect(self.name.clone(), stream).await?;
        let connection = stream.get_ref().1;
        if connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3) {
            poll_fn(|context| poll_ticket(&mut stream, context)).await?;
        }
        let kind = match stream.get_ref().1.handshake_kind() {
            Some(HandshakeKind::Resumed) => Kind::Resumed,
            Some(_) => Kind::Full,
            None => bail!("the handshake did not end"),
        };
        stream.shutdown().await?;
        Ok(kind)
    }
}

/// Reads until the server has sent a session ticket, which in TLS 1.3 comes after the handshake (RFC 8446 section 4.6.1).
fn poll_ticket(
    stream: &mut TlsStream<TcpStream>,
    context: &mut Context<'_>,
) -> Poll<anyhow::Result<()>> {
    let mut storage = [0; 64];
    let mut buffer = ReadBuf::new(&mut storage);
    let read = Pin::new(&mut *stream).poll_read(context, &mut buffer)?;
    if stream.get_ref().1.tls13_tickets_received() > 0 {
        return Poll::Ready(Ok(()));
    }
    match read {
        Poll::Pending => Poll::Pending,
        Poll::Ready(()) => Poll::Ready(Err(anyhow::anyhow!("the server sent no session ticket"))),
    }
}
