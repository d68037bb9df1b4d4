//! The queue of connections that the kernel keeps for a listener.

use std::io;
use std::net::SocketAddr;

use futures_util::FutureExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::limits;
use crate::shutdown::Shutdown;

/// A listening socket of one worker.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// Whether the service manager holds the socket, too: what waits in its queue is left to the next process.
    pub(super) is_inherited: bool,
}

/// Returns the connections of a listener until the proxy stops.
pub(super) struct AcceptQueue {
    listener: Listener,
    shutdown: Shutdown,
    /// How many connections are accepted after the proxy has stopped.
    left: i32,
}

impl AcceptQueue {
    pub(super) fn new(listener: Listener, shutdown: Shutdown) -> Self {
        let left = if listener.is_inherited {
            0
        } else {
            limits::ACCEPT_QUEUE
        };
        Self {
            listener,
            shutdown,
            left,
        }
    }

    /// Returns the next connection; `None` when the proxy has stopped. The connections that wait at that moment still come,
    /// because the kernel would reset them. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        let socket = &self.listener.socket;
        if !self.shutdown.is_triggered() {
            tokio::select! {
                accepted = socket.accept() => return Some(accepted),
                () = self.shutdown.triggered() => {}
            }
        }
        self.left = self.left.checked_sub(1).filter(|left| *left >= 0)?;
        socket.accept().now_or_never()
    }
}
