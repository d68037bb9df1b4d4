//! Finds out which account of this machine a connection over loopback comes from.
//!
//! The demo gives an account of this machine administrative access and asks for no password. While it does, only programs of
//! root and of the person who started it may use the demo provider: other accounts of the machine must not become root by it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The connections of this network namespace, by family.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// The user id by which the audit system says that no person has logged in.
const NO_LOGIN: u32 = u32::MAX;

/// The accounts whose programs may use the demo provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owners {
    /// All of them, on all machines.
    Anyone,
    /// The accounts of this machine with these user ids.
    Only(Vec<u32>),
}

impl Owners {
    /// Returns root and the person who started the demo, who has become root by sudo, or by another way that the audit
    /// system knows.
    pub(crate) fn of_this_process() -> Self {
        let by_sudo = std::env::var("SUDO_UID").ok();
        let by_login = std::fs::read_to_string("/proc/self/loginuid").ok();
        let ids = [by_sudo, by_login].into_iter().flatten();
        let ids = ids.filter_map(|id| id.trim().parse().ok());
        Self::Only(
            [0].into_iter()
                .chain(ids.filter(|id| *id != NO_LOGIN))
                .collect(),
        )
    }

    /// Returns whether a connection from `peer` to `here` may be used. A connection that is not of this machine, or of
    /// which the system does not tell the owner, may not.
    pub(super) fn admit(&self, peer: SocketAddr, here: SocketAddr) -> bool {
        match self {
            Self::Anyone => true,
            Self::Only(ids) => find_owner(peer, here).is_some_and(|owner| ids.contains(&owner)),
        }
    }
}

/// Returns the user id to which the peer's end of a connection belongs.
fn find_owner(peer: SocketAddr, here: SocketAddr) -> Option<u32> {
    let ends = (canonical(peer), canonical(here));
    TABLES.into_iter().find_map(|table| {
        let lines = BufReader::new(File::open(table).ok()?).lines();
        lines
            .map_while(Result::ok)
            .filter_map(|line| read_line(&line))
            .find_map(|(local, remote, owner)| ((local, remote) == ends).then_some(owner))
    })
}

/// Returns an IPv4 address without the IPv6 form that a socket for both families gives it.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Reads the local address, the remote address and the owner of a line; `None` for the heading.
fn read_line(line: &str) -> Option<(SocketAddr, SocketAddr, u32)> {
    let mut fields = line.split_ascii_whitespace();
    let local = read_address(fields.nth(1)?)?;
    let remote = read_address(fields.next()?)?;
    // State, queues, timer and retransmissions stand between.
    let owner = fields.nth(4)?.parse().ok()?;
    Some((local, remote, owner))
}

/// Reads an address such as `0100007F:20FC`: words of 32 bits in the byte order of the machine, and the port.
fn read_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(read_word(ip)?)),
        32 => {
            let mut bytes = [0; 16];
            for (place, word) in bytes.chunks_exact_mut(4).zip(ip.as_bytes().chunks_exact(8)) {
                place.copy_from_slice(&read_word(std::str::from_utf8(word).ok()?)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(canonical(SocketAddr::new(ip, port)))
}

fn read_word(hexadecimal: &str) -> Option<[u8; 4]> {
    let word = u32::from_str_radix(hexadecimal, 16).ok()?;
    Some(word.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_owner_of_a_connection_is_found_in_both_families() {
        let own = rustix::process::geteuid().as_raw();
        let other = own.wrapping_add(1);
        for address in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            // A machine may have no IPv6.
            let Ok(listener) = TcpListener::bind(address) else {
                assert!(address.starts_with('['), "{address}");
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let host = if address == "[::1]:0" {
                "::1"
            } else {
                "127.0.0.1"
            };
            let _client = TcpStream::connect((host, port)).unwrap();
            let (server, peer) = listener.accept().unwrap();
            let here = server.local_addr().unwrap();
            assert_eq!(find_owner(peer, here), Some(own), "{address}");
            assert!(Owners::Only(vec![other, own]).admit(peer, here));
            assert!(!Owners::Only(vec![other]).admit(peer, here));
            assert!(Owners::Anyone.admit(peer, here));
            // The server's end is no connection to the server.
            assert_eq!(find_owner(peer, peer), None);
        }
        let elsewhere = "192.0.2.1:1".parse().unwrap();
        assert!(!Owners::of_this_process().admit(elsewhere, elsewhere));
    }

    #[test]
    fn a_line_that_is_no_connection_is_passed_over() {
        for line in [
            "",
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid",
            "0: 0100007F:20FC",
            "0: 0100007F:20FC 0100007F:XXXX 01 0:0 0:0 0 1000",
            "0: 00007F:20FC 0100007F:20FC 01 0:0 0:0 0 1000",
        ] {
            assert!(read_line(line).is_none(), "{line}");
        }
    }
}
