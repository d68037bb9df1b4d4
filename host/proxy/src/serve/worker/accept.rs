//! The accept loop of one listener.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::accept_queue::{AcceptQueue, Listener};
use super::connection_era::ConnectionEra;
use crate::catch_panic::catch_panic;
use crate::limits::{self, Hit};
use crate::proxy::{Generations, Proxy};
use crate::slots::ConnectionSlot;
use crate::{connection, panic_point};

/// The state that the accept loops of a worker share.
#[derive(Clone)]
pub(super) struct Acceptor {
    pub(super) generations: Rc<Generations>,
    /// Each connection holds a permit to its end.
    pub(super) permits: Arc<Semaphore>,
    pub(super) connections: Rc<ConnectionEra>,
}

/// Accepts connections until the proxy stops, and serves each in a task of its own.
pub(super) async fn accept(acceptor: Acceptor, listener: Listener) {
    let mut listener = AcceptQueue::new(listener, acceptor.generations.shutdown.clone());
    while let Some(accepted) = listener.next().await {
        let permit = Arc::clone(&acceptor.permits).acquire_owned().await;
        let Ok(permit) = permit else {
            return;
        };
        let proxy = acceptor.generations.current();
        match accepted {
            Ok((stream, peer)) => {
                panic_point::pass("accept", peer);
                let slot = proxy.slots.acquire(proxy.client_of(peer), permit).await;
                // A refused connection is closed before it costs a TLS handshake.
                if let Some(slot) = slot {
                    spawn_connection(&acceptor, stream, peer, slot);
                }
            }
            Err(error) => {
                report_accept_error(&error, &proxy);
                drop((proxy, permit));
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

fn spawn_connection(
    acceptor: &Acceptor,
    stream: TcpStream,
    peer: SocketAddr,
    slot: ConnectionSlot,
) {
    let serving = connection::serve(Rc::clone(&acceptor.generations), stream, peer, slot);
    let member = acceptor.connections.join();
    tokio::task::spawn_local(async move {
        let _member = member;
        if catch_panic(serving).await.is_err() {
            tracing::error!(%peer, "connection closed: internal error (panic)");
        }
    });
}

fn report_accept_error(error: &io::Error, proxy: &Proxy) {
    if is_out_of_files(error) {
        Hit::OpenFiles.record(error);
        proxy.slots.evict_idle();
    } else {
        tracing::warn!(%error, "cannot accept a connection");
    }
}

/// Returns whether the process or the machine has no free descriptor.
fn is_out_of_files(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
