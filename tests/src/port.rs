//! Ports that the system assigns, reserved until a program listens on them.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use socket2::{Domain, Socket, Type};

/// A loopback TCP port that no other program gets while this value exists.
///
/// The reservation is a bound socket that does not listen: connections are refused until the program that the port is
/// for listens. That program may bind it because of `SO_REUSEADDR` or, under the same user, `SO_REUSEPORT`.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _reservation: Socket,
}

impl Port {
    /// Reserves a free port.
    ///
    /// # Errors
    /// Returns an error when the system has none.
    pub fn reserve() -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .context("no free port on loopback")?;
        let address = socket
            .local_addr()?
            .as_socket()
            .context("a TCP socket has an address")?;
        Ok(Self {
            number: address.port(),
            _reservation: socket,
        })
    }

    /// Returns the port number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}
