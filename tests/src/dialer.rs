//! One connection, one request: the transport of [`crate::UserAgent`].

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::raw::read_response;
use crate::{Issued, within};

/// Time limit of one response: longer than the proxy holds a request whose provider is down.
const ANSWER: Duration = Duration::from_secs(40);

/// Time for a server to answer bytes that are a complete request, or not a request.
const RAW_ANSWER: Duration = Duration::from_secs(10);

/// A byte stream, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A complete response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Response {
    /// Returns the body as a string, with replacements where it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the first value of a header as a string.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    /// Returns an error when it is not JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("the body is not JSON: {}", self.text()))
    }

    /// Checks the status.
    ///
    /// # Errors
    /// Returns an error with the headers and the body when the status is another one.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(
            self.status.as_u16() == status,
            "status {} instead of {status}\n{:#?}\n{}",
            self.status,
            self.headers,
            self.text()
        );
        Ok(self)
    }
}

/// Connects to loopback for every host, and trusts one authority.
#[derive(Clone)]
pub struct Dialer {
    authority: CertificateDer<'static>,
    /// The port to connect to instead of the URL's, for `https` URLs.
    detour: Option<u16>,
    /// The address to connect from.
    source: Ipv4Addr,
    /// Sent before all other bytes, TLS included, on `https` URLs.
    preface: Bytes,
    /// Shown to servers that ask for a certificate.
    identity: Option<Issued>,
}

impl Dialer {
    /// Trusts certificates of this authority.
    #[must_use]
    pub fn new(authority: CertificateDer<'static>) -> Self {
        Self {
            authority,
            detour: None,
            source: Ipv4Addr::LOCALHOST,
            preface: Bytes::new(),
            identity: None,
        }
    }

    /// Returns a dialer that connects from another address of this machine, such as 127.0.0.7.
    #[must_use]
    pub fn coming_from(&self, source: Ipv4Addr) -> Self {
        Self {
            source,
            ..self.clone()
        }
    }

    /// Returns a dialer whose `https` connections begin with these bytes, before TLS.
    #[must_use]
    pub fn beginning_with(&self, preface: impl Into<Bytes>) -> Self {
        Self {
            preface: preface.into(),
            ..self.clone()
        }
    }

    /// Returns a dialer with a certificate for servers that ask for one.
    #[must_use]
    pub fn showing(&self, identity: &Issued) -> Self {
        Self {
            identity: Some(identity.clone()),
            ..self.clone()
        }
    }

    /// Returns a dialer that connects to this port for `https` URLs. Their name and their `Host` stay the same.
    #[must_use]
    pub fn detour(&self, port: u16) -> Self {
        Self {
            detour: Some(port),
            ..self.clone()
        }
    }

    /// Sends a request and reads the complete response. The request has a path as its target, and a `Host` only if it
    /// differs from the URL's.
    ///
    /// # Errors
    /// Returns an error when the connection or the exchange fails, or takes longer than 40 seconds.
    pub async fn exchange(&self, url: &Url, request: http::Request<Bytes>) -> Result<Response> {
        let what = format!("{} {}", request.method(), url);
        within(&what, ANSWER, async {
            match request.version() {
                Version::HTTP_2 => self.exchange_h2(url, request).await,
                _ => self.exchange_h1(url, request).await,
            }
        })
        .await
    }

    /// Opens a connection to the URL's server, offering one application protocol.
    ///
    /// # Errors
    /// Returns an error when no server listens or TLS fails.
    pub async fn open(&self, url: &Url, protocol: &str) -> Result<Box<dyn Stream>> {
        let host = url.host_str().context("the URL has a host")?;
        let port = url.port_or_known_default().context("the URL has a port")?;
        let tls = url.scheme() == "https";
        let port = self.detour.filter(|_| tls).unwrap_or(port);
        let socket = TcpSocket::new_v4()?;
        if self.source != Ipv4Addr::LOCALHOST {
            socket.bind(SocketAddr::from((self.source, 0)))?;
        }
        let mut tcp = socket
            .connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .await?;
        tcp.set_nodelay(true)?;
        if !tls {
            return Ok(Box::new(tcp));
        }
        tcp.write_all(&self.preface).await?;
        let name = ServerName::try_from(host.to_owned())?;
        let stream = TlsConnector::from(Arc::new(self.tls(protocol)?))
            .connect(name, tcp)
            .await?;
        Ok(Box::new(stream))
    }

    /// Sends these bytes unchanged over HTTP/1.1 and reads one response. Returns `None` for a connection that the
    /// server closed without one.
    ///
    /// # Errors
    /// Returns an error when there is no connection, no end within ten seconds, or a response that is not HTTP.
    pub async fn raw(&self, url: &Url, bytes: &[u8]) -> Result<Option<Response>> {
        within("the answer to raw bytes", RAW_ANSWER, async {
            let mut stream = self.open(url, "http/1.1").await?;
            // A server may refuse before it has received all bytes.
            let _ = stream.write_all(bytes).await;
            read_response(&mut stream).await
        })
        .await
    }

    /// Sends an anonymous GET to the URL's server, with this `Host` and target.
    ///
    /// # Errors
    /// Returns an error when there is no response.
    pub async fn get(&self, url: &Url, host: &str, target: &str) -> Result<Response> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = self.raw(url, head.as_bytes()).await;
        answer
            .with_context(|| format!("GET {target} at {host}"))?
            .with_context(|| format!("no answer to GET {target} at {host}"))
    }

    async fn exchange_h1(&self, url: &Url, mut request: http::Request<Bytes>) -> Result<Response> {
        if !request.headers().contains_key(http::header::HOST) {
            request
                .headers_mut()
                .insert(http::header::HOST, authority_of(url)?.parse()?);
        }
        let stream = TokioIo::new(self.open(url, "http/1.1").await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request.map(Full::new)).await?;
        let response = whole(response).await;
        driver.abort();
        response
    }

    async fn exchange_h2(&self, url: &Url, mut request: http::Request<Bytes>) -> Result<Response> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        *request.uri_mut() = format!("{}://{}{path}", url.scheme(), authority_of(url)?).parse()?;
        let stream = TokioIo::new(self.open(url, "h2").await?);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request.map(Full::new)).await?;
        let response = whole(response).await;
        driver.abort();
        response
    }

    fn tls(&self, protocol: &str) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match self.identity.as_ref().map(Issued::pair) {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Ok(config)
    }
}

/// Returns `host[:port]` as a browser writes it into `Host`.
fn authority_of(url: &Url) -> Result<String> {
    let host = url.host_str().context("the URL has a host")?;
    Ok(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

async fn whole(response: http::Response<hyper::body::Incoming>) -> Result<Response> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response {
        status: head.status,
        headers: head.headers,
        body,
    })
}
