//! Making a connection to a server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jetway_core::config::Origin;
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
pub(crate) enum ConnectFault {
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
    /// It took longer than [`limits::CONNECT`].
    #[error("the connection took too long")]
    Slow,
}

/// Connects to one origin.
pub(crate) struct Connector {
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
    /// Prepares connections to an origin.
    ///
    /// # Errors
    /// Authorities that cannot be read, or a host that cannot be a TLS server's name.
    pub(crate) fn new(origin: &Origin, trust: &Trust, roots: &Roots) -> anyhow::Result<Self> {
        let tls = if origin.tls {
            let config = roots
                .client_config(trust)
                .with_context(|| format!("cannot prepare TLS to {origin}"))?;
            let bare = origin
                .host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            let name = ServerName::try_from(bare)
                .with_context(|| format!("`{}` is no server name", origin.host))?;
            Some((TlsConnector::from(Arc::clone(&config)), name))
        } else {
            None
        };
        Ok(Self {
            host: Host::parse(&origin.host),
            port: origin.port,
            tls,
        })
    }

    /// Connects to this address, whatever the name resolves to.
    pub(crate) fn at(mut self, address: SocketAddr) -> Self {
        self.host = Host::Address(address.ip());
        self.port = address.port();
        self
    }

    /// Makes a connection.
    pub(crate) async fn connect(&self) -> Result<Transport, ConnectFault> {
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

    #[tokio::test]
    async fn a_certificate_that_nobody_signed_is_refused_unless_told_otherwise() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = made.signing_key.serialize_pem();
        let chain = crate::tls::Chain::from_pem("test", made.cert.pem().as_bytes(), key.as_bytes())
            .unwrap();
        let config = crate::tls::Certificates::Tls(vec![chain])
            .server_config()
            .unwrap()
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let _ = acceptor.accept(stream).await;
            }
        });
        let ca = std::env::temp_dir().join(format!("jetway-ca-{}.pem", std::process::id()));
        std::fs::write(&ca, made.cert.pem()).unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let other_ca =
            std::env::temp_dir().join(format!("jetway-other-ca-{}.pem", std::process::id()));
        std::fs::write(&other_ca, other.cert.pem()).unwrap();

        let origin = Origin {
            tls: true,
            host: "localhost".to_owned(),
            port,
        };
        let connects = async |trust: Trust| {
            let connector = Connector::new(&origin, &trust, &Roots::default()).unwrap();
            connector.connect().await.is_ok()
        };
        assert!(connects(Trust::Anyone).await);
        assert!(connects(Trust::File(ca.to_str().unwrap().to_owned())).await);
        assert!(!connects(Trust::File(other_ca.to_str().unwrap().to_owned())).await);
        server.abort();
        std::fs::remove_file(ca).unwrap();
        std::fs::remove_file(other_ca).unwrap();
    }
}
