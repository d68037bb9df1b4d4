//! Connects to a server, with or without TLS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use jetway_core::config::{Origin, UpstreamTls};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::limits;
use crate::tls::{Roots, Trust};
use crate::transport::{Transport, set_socket_options};

/// The reason why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFault {
    /// The name has no address.
    #[error("cannot resolve `{name}`")]
    Resolve {
        /// The name.
        name: String,
        /// The error of the lookup.
        source: io::Error,
    },
    /// No address accepts a connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// The address that was tried last.
        address: SocketAddr,
        /// The error of the attempt.
        source: io::Error,
    },
    /// The TLS handshake failed, mostly because the certificate is not trusted.
    #[error("cannot set up TLS")]
    Tls(#[source] io::Error),
    /// No descriptor was free for [`limits::CONNECT`].
    #[error("the limit on open files allows no more connections")]
    OpenFiles,
    /// The connection took longer than [`limits::CONNECT`].
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
    /// `localhost` (RFC 6761, 6.3): both loopback addresses, without a lookup.
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
    /// Prepares connections to an origin, with TLS if it is `https`.
    ///
    /// # Errors
    /// The authorities cannot be read, or the host cannot be the name of a TLS server.
    pub fn new(origin: &Origin, trust: &Trust, roots: &Roots) -> anyhow::Result<Self> {
        let tls = if origin.tls {
            let config = roots
                .client_config(trust)
                .with_context(|| format!("cannot prepare TLS to {origin}"))?;
            Some(prepare_tls(config, &origin.host)?)
        } else {
            None
        };
        Ok(Self::with_tls(origin, tls))
    }

    /// Prepares connections to a route's upstream, as its `tls_*` keys say.
    ///
    /// # Errors
    /// The same as of [`Roots::upstream_config`], or the name cannot be that of a TLS server.
    pub fn upstream(origin: &Origin, tls: &UpstreamTls, roots: &Roots) -> anyhow::Result<Self> {
        if !origin.tls {
            return Ok(Self::with_tls(origin, None));
        }
        let config = roots.upstream_config(tls)?;
        let secured = match &tls.server_name {
            Some(name) => prepare_tls(config, name).context("cannot use `tls_server_name`")?,
            None => prepare_tls(config, &origin.host)?,
        };
        Ok(Self::with_tls(origin, Some(secured)))
    }

    fn with_tls(origin: &Origin, tls: Option<(TlsConnector, ServerName<'static>)>) -> Self {
        Self {
            host: Host::parse(&origin.host),
            port: origin.port,
            tls,
        }
    }

    /// Connects to this address instead of those that the name resolves to.
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.host = Host::Address(address.ip());
        self.port = address.port();
        self
    }

    /// Opens a connection.
    pub async fn connect(&self) -> Result<Transport, ConnectFault> {
        timeout(limits::CONNECT, self.connect_unhurried())
            .await
            .map_err(|_| ConnectFault::Slow)?
    }

    async fn connect_unhurried(&self) -> Result<Transport, ConnectFault> {
        let stream = self.connect_tcp().await?;
        set_socket_options(&stream);
        let Some((connector, name)) = &self.tls else {
            return Ok(Transport::Plain(stream));
        };
        let stream = connector
            .connect(name.clone(), stream)
            .await
            .map_err(ConnectFault::Tls)?;
        Ok(Transport::Tls(Box::new(TlsStream::Client(stream))))
    }

    async fn connect_tcp(&self) -> Result<TcpStream, ConnectFault> {
        match &self.host {
            Host::Loopback => {
                connect_first(
                    &[Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
                    self.port,
                )
                .await
            }
            Host::Address(address) => connect_first(&[*address], self.port).await,
            Host::Name(name) => {
                let resolve_error = |source| ConnectFault::Resolve {
                    name: name.clone(),
                    source,
                };
                let found = tokio::net::lookup_host((name.as_str(), self.port))
                    .await
                    .map_err(resolve_error)?;
                let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
                if found.is_empty() {
                    return Err(resolve_error(io::Error::new(
                        io::ErrorKind::NotFound,
                        "no address",
                    )));
                }
                connect_first(&found, self.port).await
            }
        }
    }
}

/// Prepares TLS to the server of that name. The name is sent (SNI, unless it is an address), and the certificate has to be
/// valid for it.
fn prepare_tls(
    config: Arc<ClientConfig>,
    host: &str,
) -> anyhow::Result<(TlsConnector, ServerName<'static>)> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned())
        .with_context(|| format!("`{host}` is not a server name"))?;
    Ok((TlsConnector::from(config), name))
}

/// Connects to the first address that accepts.
async fn connect_first(addresses: &[IpAddr], port: u16) -> Result<TcpStream, ConnectFault> {
    let mut fault = ConnectFault::Slow;
    for address in addresses {
        let address = SocketAddr::new(*address, port);
        // A single address gets the whole time.
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
    async fn a_refused_connection_names_its_address() {
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
