//! Listening sockets that the service manager opens, keeps over a restart and passes on (`LISTEN_FDS` of sd_listen_fds(3)).

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context as _, bail};
use listenfd::ListenFd;

use super::listen::is_any_ipv6;

/// The variable with the names of the sockets (`FileDescriptorName=`, or else the name of the unit), separated by colons.
const NAMES: &str = "LISTEN_FDNAMES";

/// A listening socket of the service manager.
pub(super) struct InheritedSocket {
    pub(super) listener: TcpListener,
    address: SocketAddr,
    name: String,
}

impl InheritedSocket {
    /// Takes a listening socket with its name.
    pub(super) fn new(listener: TcpListener, name: String) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            name,
        })
    }
}

/// Takes the sockets that were passed to this process; there are none outside of a service manager. Later calls return none.
///
/// # Errors
/// A descriptor that is no listening TCP socket.
pub(super) fn take() -> anyhow::Result<Vec<InheritedSocket>> {
    let mut passed = ListenFd::from_env();
    let names = std::env::var(NAMES).unwrap_or_default();
    let mut names = names.split(':');
    let mut sockets = Vec::new();
    for number in 0..passed.len() {
        let name = names.next().filter(|name| !name.is_empty());
        let name = name.unwrap_or("unknown").to_owned();
        let Some(listener) = passed.take_tcp_listener(number).transpose() else {
            continue;
        };
        let socket = listener.and_then(|listener| InheritedSocket::new(listener, name.clone()));
        sockets.push(socket.with_context(|| {
            format!("cannot use the socket `{name}` of the service manager: use `ListenStream=` with a port in its socket unit")
        })?);
    }
    Ok(sockets)
}

/// Checks that the sockets listen on the configured addresses, and on no others: the file says where the proxy listens.
///
/// # Errors
/// The addresses differ.
pub(super) fn ensure_same_addresses(
    sockets: &[InheritedSocket],
    addresses: &[SocketAddr],
) -> anyhow::Result<()> {
    let is_passed = |address: &SocketAddr| sockets.iter().any(|socket| is_at(socket, *address));
    let is_wanted = |socket: &InheritedSocket| {
        let mut addresses = addresses.iter();
        addresses.any(|address| is_at(socket, *address))
    };
    if addresses.iter().all(is_passed) && sockets.iter().all(is_wanted) {
        return Ok(());
    }
    let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    let describe = |socket: &InheritedSocket| format!("{} ({})", socket.address, socket.name);
    let sockets: Vec<String> = sockets.iter().map(describe).collect();
    bail!(
        "the sockets of the service manager listen on {}, and `address` is {}: write the same address in `ListenStream=` of \
         the socket unit and in `address`",
        sockets.join(", "),
        addresses.join(", ")
    )
}

/// Returns whether a socket listens on an address. Without IPv6, all addresses are those of IPv4.
fn is_at(socket: &InheritedSocket, address: SocketAddr) -> bool {
    let any_ipv4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    socket.address == address
        || (is_any_ipv6(address) && socket.address == SocketAddr::new(any_ipv4, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> InheritedSocket {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        InheritedSocket::new(listener, "jetway.socket".to_owned()).unwrap()
    }

    #[test]
    fn the_sockets_listen_on_the_configured_addresses() {
        let sockets = [socket(), socket()];
        let addresses = sockets.each_ref().map(|socket| socket.address);
        ensure_same_addresses(&sockets, &addresses).unwrap();
        let other = SocketAddr::new(addresses[0].ip(), 1);
        for wrong in [&addresses[..1], &[addresses[0], other], &[other]] {
            let refused = ensure_same_addresses(&sockets, wrong).unwrap_err();
            let refused = refused.to_string();
            let shown = format!("{} (jetway.socket)", addresses[1]);
            assert!(refused.contains(&shown), "{refused}");
            assert!(refused.contains("`ListenStream=`"), "{refused}");
        }
    }

    #[test]
    fn all_addresses_are_those_of_ipv4_without_ipv6() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let socket = InheritedSocket::new(listener, String::new()).unwrap();
        let port = socket.address.port();
        let all = SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), port);
        ensure_same_addresses(&[socket], &[all]).unwrap();
    }
}
