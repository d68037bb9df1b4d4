//! Listening sockets: one per worker and address. The kernel spreads connections over them (`SO_REUSEPORT`). Sockets that the
//! service manager passes on are shared by the workers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};

use super::inherited::{self, InheritedSocket};
use crate::limits;

/// Resolves an address such as `:443`, `127.0.0.1:8443` or `localhost:8443`.
///
/// # Errors
/// The string has another form, or its name cannot be resolved.
pub fn parse_addresses(text: &str) -> anyhow::Result<Vec<SocketAddr>> {
    if let Some(port) = text.strip_prefix(':') {
        let port = port.parse().with_context(|| {
            format!("`{text}` is not a listening address: use `host:port` or `:port`")
        })?;
        // All addresses of both families.
        return Ok(vec![SocketAddr::new(
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            port,
        )]);
    }
    let found = text.to_socket_addrs().with_context(|| {
        format!("`{text}` is not a listening address: use `host:port` or `:port`")
    })?;
    Ok(found.collect())
}

/// The ports below this one are reserved for privileged programs, unless the machine is configured otherwise.
const RESERVED_PORTS: u16 = 1024;

/// The listening sockets of one worker.
#[derive(Default)]
pub(super) struct Sockets {
    pub(super) listeners: Vec<TcpListener>,
    /// Whether the service manager holds the sockets, so that connections can wait in them for the next process.
    pub(super) are_inherited: bool,
}

/// Returns the sockets of each worker: those that the service manager passed on, or else new ones.
///
/// # Errors
/// An address that cannot be used, or passed sockets that listen on other addresses.
pub(super) fn open_all(
    inherited: Vec<InheritedSocket>,
    addresses: &[SocketAddr],
    workers: usize,
) -> anyhow::Result<Vec<Sockets>> {
    if inherited.is_empty() {
        return bind_all(addresses, workers);
    }
    inherited::ensure_same_addresses(&inherited, addresses)?;
    let share = |_| {
        let listeners = inherited.iter().map(|socket| socket.listener.try_clone());
        Ok(Sockets {
            listeners: listeners.collect::<io::Result<_>>()?,
            are_inherited: true,
        })
    };
    (0..workers).map(share).collect()
}

/// Binds every address once per worker; the result has one entry per worker.
fn bind_all(addresses: &[SocketAddr], workers: usize) -> anyhow::Result<Vec<Sockets>> {
    let mut sockets: Vec<Sockets> = std::iter::repeat_with(Sockets::default)
        .take(workers)
        .collect();
    for &address in addresses {
        ensure_is_free(address).map_err(|error| explain_failure(error, address))?;
        let mut address = address;
        for own in &mut sockets {
            let listener = bind(address).map_err(|error| explain_failure(error, address))?;
            // All workers share the port that the system chose for the first one.
            address = listener.local_addr()?;
            own.listeners.push(listener);
        }
    }
    Ok(sockets)
}

/// Returns the addresses that the listeners are bound to.
pub(super) fn local_addresses(sockets: &[Sockets]) -> anyhow::Result<Vec<SocketAddr>> {
    let own = sockets.first().context("the proxy has no workers")?;
    let addresses = own.listeners.iter().map(TcpListener::local_addr);
    Ok(addresses.collect::<io::Result<_>>()?)
}

/// Says on which address the proxy cannot listen, and how it may use a port that the kernel reserves.
fn explain_failure(error: io::Error, address: SocketAddr) -> anyhow::Error {
    let is_reserved = address.port() < RESERVED_PORTS;
    let help = if error.kind() == io::ErrorKind::PermissionDenied && is_reserved {
        " (ports below 1024 need CAP_NET_BIND_SERVICE: write `AmbientCapabilities=CAP_NET_BIND_SERVICE` in the systemd unit, or another port in `address`)"
    } else {
        ""
    };
    anyhow::Error::new(error).context(format!("cannot listen on {address}{help}"))
}

/// Binds an address of which each worker has a socket.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let is_shared = true;
    with_or_without_ipv6(address, |address| listen(address, is_shared))
}

/// Binds an address for one socket.
///
/// # Errors
/// The address cannot be used, for instance because another socket listens on it.
pub(super) fn bind_alone(address: SocketAddr) -> io::Result<TcpListener> {
    let is_shared = false;
    with_or_without_ipv6(address, |address| listen(address, is_shared))
}

/// Uses an address; all addresses are those of IPv4 on a machine without IPv6.
fn with_or_without_ipv6<T>(
    address: SocketAddr,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    match bind(address) {
        Err(error) if is_any_ipv6(address) && is_without_ipv6(&error) => {
            let any_ipv4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            bind(SocketAddr::new(any_ipv4, address.port()))
        }
        result => result,
    }
}

pub(super) fn is_any_ipv6(address: SocketAddr) -> bool {
    address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
}

fn is_without_ipv6(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no `ErrorKind` of its own.
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// Fails if another socket listens on the address. With `SO_REUSEPORT`, a second proxy of the same user would silently take
/// a share of the first one's connections; the kernel refuses a socket without it.
fn ensure_is_free(address: SocketAddr) -> io::Result<()> {
    match try_address(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        _ => Ok(()),
    }
}

/// Binds an address for a moment, without listening, so that no client can connect.
///
/// # Errors
/// The reason why no proxy could listen there now.
pub fn try_address(address: SocketAddr) -> io::Result<()> {
    with_or_without_ipv6(address, |address| {
        open_socket(address)?.bind(&address.into())
    })
}

fn open_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if is_any_ipv6(address) {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn listen(address: SocketAddr, is_shared: bool) -> io::Result<TcpListener> {
    let socket = open_socket(address)?;
    socket.set_reuse_port(is_shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::ACCEPT_QUEUE)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_says_which_capability_is_needed() {
        let explain = |kind: io::ErrorKind, port: u16| {
            let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
            format!("{:#}", explain_failure(kind.into(), address))
        };
        let told = explain(io::ErrorKind::PermissionDenied, 443);
        assert!(
            told.starts_with("cannot listen on 127.0.0.1:443 ("),
            "{told}"
        );
        assert!(told.contains("CAP_NET_BIND_SERVICE"), "{told}");
        for (kind, port) in [
            (io::ErrorKind::PermissionDenied, 8443),
            (io::ErrorKind::AddrInUse, 443),
        ] {
            let told = explain(kind, port);
            assert!(!told.contains("CAP_NET_BIND_SERVICE"), "{told}");
        }
    }

    #[test]
    fn addresses_are_parsed() {
        assert_eq!(
            parse_addresses("127.0.0.1:80").unwrap(),
            ["127.0.0.1:80".parse().unwrap()]
        );
        assert_eq!(
            parse_addresses(":443").unwrap(),
            ["[::]:443".parse().unwrap()]
        );
        assert!(
            parse_addresses("localhost:1")
                .unwrap()
                .iter()
                .all(|address| address.ip().is_loopback())
        );
        assert!(
            parse_addresses("no port")
                .unwrap_err()
                .to_string()
                .contains("`no port`")
        );
        assert!(parse_addresses(":x").is_err());
    }

    #[test]
    fn workers_share_one_chosen_port() {
        let listeners = bind_all(&["127.0.0.1:0".parse().unwrap()], 3).unwrap();
        let ports: Vec<u16> = listeners
            .iter()
            .map(|own| own.listeners[0].local_addr().unwrap().port())
            .collect();
        assert_ne!(ports[0], 0);
        assert_eq!(ports, [ports[0]; 3]);
    }

    #[test]
    fn a_port_that_another_proxy_listens_on_is_refused() {
        let first = bind_all(&["127.0.0.1:0".parse().unwrap()], 1).unwrap();
        let address = local_addresses(&first).unwrap()[0];
        let refused = bind_all(&[address], 1).err().unwrap().to_string();
        assert!(refused.contains("cannot listen"), "{refused}");
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let refused = bind_all(&["192.0.2.1:1".parse().unwrap()], 1)
            .err()
            .unwrap()
            .to_string();
        assert!(refused.contains("192.0.2.1:1"), "{refused}");
    }
}
