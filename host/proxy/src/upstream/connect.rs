//! Making a connection to a server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jetway_core::config::{Origin, UpstreamTls};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::limits;
use crate::tls::{Roots, Trust};
use crate::transport::Transport;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFault {
    /// The name has no address.
    #[error("cannot resolve `{name}`")]
    Resolve {
        /// The name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// No address accepts a connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// The last address tried.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// TLS could not be agreed upon; mostly a certificate that is not trusted.
    #[error("cannot set up TLS")]
    Tls(#[source] io::Error),
    /// No descriptor was free for [`limits::CONNECT`].
    #[error("the limit on open files allows no more connections")]
    OpenFiles,
    /// It took longer than [`limits::CONNECT`].
    #[error("the connection took too long")]
    Slow,
}

/// Connects to one origin.
pub struct Connector {
    host: Host,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

enum Host {
    /// `localhost` (RFC 6761, 6.3): both loopback addresses, without asking anyone.
    Loopback,
    Address(IpAddr),
    Name(String),
}

impl Host {
    fn parse(text: &str) -> Self {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(text);
        match bare.parse() {
            Ok(address) => Self::Address(address),
            Err(_) if bare.eq_ignore_ascii_case("localhost") => Self::Loopback,
            Err(_) => Self::Name(bare.to_owned()),
        }
    }
}

impl Connector {
    /// Prepares connections to an origin, with TLS if it says `https`.
    ///
    /// # Errors
    /// Authorities that cannot be read, or a host that cannot be a TLS server's name.
    pub fn new(origin: &Origin, trust: &Trust, roots: &Roots) -> anyhow::Result<Self> {
        let tls = if origin.tls {
            let config = roots
                .client_config(trust)
                .with_context(|| format!("cannot prepare TLS to {origin}"))?;
            Some(secured(config, &origin.host)?)
        } else {
            None
        };
        Ok(Self::to(origin, tls))
    }

    /// Prepares connections to a route's upstream, as its `tls_*` keys say.
    ///
    /// # Errors
    /// As [`Roots::upstream_config`], and a name that cannot be a TLS server's.
    pub fn upstream(origin: &Origin, tls: &UpstreamTls, roots: &Roots) -> anyhow::Result<Self> {
        if !origin.tls {
            return Ok(Self::to(origin, None));
        }
        let config = roots.upstream_config(tls)?;
        let secured = match &tls.server_name {
            Some(name) => secured(config, name).context("cannot use `tls_server_name`")?,
            None => secured(config, &origin.host)?,
        };
        Ok(Self::to(origin, Some(secured)))
    }

    fn to(origin: &Origin, tls: Option<(TlsConnector, ServerName<'static>)>) -> Self {
        Self {
            host: Host::parse(&origin.host),
            port: origin.port,
            tls,
        }
    }

    /// Connects to this address, whatever the name resolves to.
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.host = Host::Address(address.ip());
        self.port = address.port();
        self
    }

    /// Makes a connection.
    pub async fn connect(&self) -> Result<Transport, ConnectFault> {
        timeout(limits::CONNECT, self.connect_unhurried())
            .await
            .map_err(|_| ConnectFault::Slow)?
    }

    async fn connect_unhurried(&self) -> Result<Transport, ConnectFault> {
        let stream = self.tcp().await?;
        prepare(&stream);
        let Some((connector, name)) = &self.tls else {
            return Ok(Transport::Plain(stream));
        };
        let stream = connector
            .connect(name.clone(), stream)
            .await
            .map_err(ConnectFault::Tls)?;
        Ok(Transport::Tls(Box::new(TlsStream::Client(stream))))
    }

    async fn tcp(&self) -> Result<TcpStream, ConnectFault> {
        match &self.host {
            Host::Loopback => {
                first(
                    &[Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
                    self.port,
                )
                .await
            }
            Host::Address(address) => first(&[*address], self.port).await,
            Host::Name(name) => {
                let resolve = |source| ConnectFault::Resolve {
                    name: name.clone(),
                    source,
                };
                let found = tokio::net::lookup_host((name.as_str(), self.port))
                    .await
                    .map_err(resolve)?;
                let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
                if found.is_empty() {
                    return Err(resolve(io::Error::new(
                        io::ErrorKind::NotFound,
                        "no address",
                    )));
                }
                first(&found, self.port).await
            }
        }
    }
}

/// TLS to the server of that name: it is sent (SNI, unless it is an address), and its certificate has to be for it.
fn secured(
    config: Arc<ClientConfig>,
    host: &str,
) -> anyhow::Result<(TlsConnector, ServerName<'static>)> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned())
        .with_context(|| format!("`{host}` is no server name"))?;
    Ok((TlsConnector::from(config), name))
}

/// The first address that accepts.
async fn first(addresses: &[IpAddr], port: u16) -> Result<TcpStream, ConnectFault> {
    let mut fault = ConnectFault::Slow;
    for address in addresses {
        let address = SocketAddr::new(*address, port);
        // A lone address has all the time there is.
        let limit = if addresses.len() > 1 {
            limits::CONNECT_ADDRESS
        } else {
            limits::CONNECT
        };
        fault = match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => ConnectFault::Connect { address, source },
            Err(_) => ConnectFault::Slow,
        };
    }
    Err(fault)
}

/// Settings of every TCP connection, in either direction. A connection without them works too, only worse.
pub(crate) fn prepare(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(limits::TCP_KEEPALIVE)
        .with_interval(Duration::from_secs(15));
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector(origin: &str) -> Connector {
        let origin = Origin::of(&url::Url::parse(origin).unwrap()).unwrap();
        Connector::new(&origin, &Trust::System, &Roots::default()).unwrap()
    }

    #[tokio::test]
    async fn localhost_is_both_loopback_addresses() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = tokio::net::TcpListener::bind(address).await else {
                assert!(address.starts_with('['), "a machine without 127.0.0.1");
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let connector = connector(&format!("http://localhost:{port}"));
            assert!(connector.connect().await.is_ok(), "{address}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_is_told_with_its_address() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let refused = connector(&format!("http://{address}"))
            .connect()
            .await
            .err()
            .unwrap();
        assert!(
            matches!(refused, ConnectFault::Connect { address: told, .. } if told == address),
            "{refused:?}"
        );
    }
}
