//! The queue of connections that the kernel keeps for a listener.

use std::io;
use std::net::SocketAddr;

use futures_util::FutureExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;

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
        // The runtime looks for connections that have come since, and gives this task its whole budget again. Without that,
        // the queue would seem to be empty.
        yield_now().await;
        self.left = self.left.checked_sub(1).filter(|left| *left >= 0)?;
        socket.accept().now_or_never()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::listen::bind_alone;

    /// More connections than one task may accept without yielding to others.
    const WAITING: usize = 200;

    #[tokio::test]
    async fn every_connection_that_waits_when_the_proxy_stops_is_accepted() {
        let socket = bind_alone("127.0.0.1:0".parse().unwrap()).unwrap();
        let socket = TcpListener::from_std(socket).unwrap();
        let address = socket.local_addr().unwrap();
        let connect = |_| std::net::TcpStream::connect(address).unwrap();
        let waiting: Vec<_> = (0..WAITING).map(connect).collect();
        let shutdown = Shutdown::default();
        shutdown.trigger();
        let listener = Listener {
            socket,
            is_inherited: false,
        };
        let mut queue = AcceptQueue::new(listener, shutdown);
        let mut accepted = 0;
        while let Some(connection) = queue.next().await {
            connection.unwrap();
            accepted += 1;
        }
        assert_eq!(accepted, waiting.len());
    }
}
