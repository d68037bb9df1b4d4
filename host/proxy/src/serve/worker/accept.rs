//! The accept loop of one listener.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::catch_panic::catch_panic;
use crate::limits::{self, Hit};
use crate::proxy::{Generations, Proxy};
use crate::slots::ConnectionSlot;
use crate::{connection, panic_point};

/// Accepts connections without end, and serves each in a task of its own, with a permit that it holds to its end.
pub(super) async fn accept(
    generations: Rc<Generations>,
    listener: TcpListener,
    permits: Arc<Semaphore>,
) {
    loop {
        let accepted = listener.accept().await;
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let proxy = generations.current();
        match accepted {
            Ok((stream, peer)) => {
                panic_point::pass("accept", peer);
                let slot = proxy.slots.acquire(proxy.client_of(peer), permit).await;
                // A refused connection is closed before it costs a TLS handshake.
                if let Some(slot) = slot {
                    spawn_connection(&generations, stream, peer, slot);
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
    generations: &Rc<Generations>,
    stream: TcpStream,
    peer: SocketAddr,
    slot: ConnectionSlot,
) {
    let serving = connection::serve(Rc::clone(generations), stream, peer, slot);
    tokio::task::spawn_local(async move {
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
