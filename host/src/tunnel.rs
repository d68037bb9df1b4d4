//! A websocket once it is open: bytes both ways until one side ends it, the plugin does, or the proxy stops.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};

use crate::body::{Finish, Progress};
use crate::limits;
use crate::serve::Stop;
use crate::wasm::{Ended, Stream};

/// The two connections that become one.
pub(crate) struct Ends {
    /// To the client.
    pub(crate) client: OnUpgrade,
    /// To the upstream.
    pub(crate) upstream: OnUpgrade,
}

/// Runs a tunnel to its end, which comes at the latest when `progress` overruns; `finish` is dropped then, which writes
/// the log line.
pub(crate) async fn run(ends: Ends, mut finish: Finish, progress: Rc<Progress>, stop: Stop) {
    let (from_client, from_upstream) = (Cell::new(0), Cell::new(0));
    let stream = finish.stream.take();
    let reason = {
        let copying = join(ends, &progress, &from_client, &from_upstream);
        tokio::select! {
            result = copying => end_of(&result),
            _ = progress.overruns() => "websocket: silent for too long",
            reason = ordered_by_plugin(stream) => reason,
            () = stop.ordered() => "websocket: the proxy stopped",
        }
    };
    finish.entry.count_received(from_client.get());
    finish.entry.count_sent(from_upstream.get());
    finish.entry.details(reason);
}

fn end_of(result: &io::Result<()>) -> &'static str {
    match result {
        Ok(()) => "websocket",
        Err(_) => "websocket: a connection broke",
    }
}

/// The plugin's context of the websocket lives as long as the tunnel.
async fn ordered_by_plugin(stream: Option<Stream>) -> &'static str {
    let Some(mut stream) = stream else {
        return std::future::pending().await;
    };
    match stream.closed().await {
        Ended::Closed => "websocket: ended by the plugin",
        Ended::Lost => "websocket: the plugin was restarted",
    }
}

async fn join(
    ends: Ends,
    progress: &Progress,
    from_client: &Cell<u64>,
    from_upstream: &Cell<u64>,
) -> io::Result<()> {
    let (client, upstream) =
        tokio::try_join!(ends.client, ends.upstream).map_err(io::Error::other)?;
    let client = Counted {
        inner: TokioIo::new(client),
        read: from_client,
        progress,
    };
    let upstream = Counted {
        inner: TokioIo::new(upstream),
        read: from_upstream,
        progress,
    };
    copy(client, upstream).await
}

/// Copies both ways. Each direction reads only as fast as the other side takes it, and ends by itself.
async fn copy(
    mut one: impl AsyncRead + AsyncWrite + Unpin,
    mut other: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    copy_bidirectional_with_sizes(
        &mut one,
        &mut other,
        limits::TUNNEL_BUFFER,
        limits::TUNNEL_BUFFER,
    )
    .await?;
    Ok(())
}

/// Counts what is read, also when the copy is broken off, and notes the progress.
struct Counted<'a, T> {
    inner: T,
    read: &'a Cell<u64>,
    progress: &'a Progress,
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = buf.filled().len().saturating_sub(before) as u64;
        if read > 0 {
            self.read.set(self.read.get().saturating_add(read));
            self.progress.advance();
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<'_, T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Patience;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test]
    async fn both_directions_and_a_half_close() {
        let (mut client, one) = duplex(64);
        let (other, mut upstream) = duplex(64);
        let (from_client, from_upstream) = (Cell::new(0), Cell::new(0));
        let progress = Progress::new(Patience::default());
        let tunnel = copy(
            Counted {
                inner: one,
                read: &from_client,
                progress: &progress,
            },
            Counted {
                inner: other,
                read: &from_upstream,
                progress: &progress,
            },
        );
        let sent = vec![b'c'; 100_000];
        let asking = async {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let answering = async {
            let mut question = Vec::new();
            // Ends although the other direction is still open.
            upstream.read_to_end(&mut question).await.unwrap();
            upstream.write_all(&question[..50_000]).await.unwrap();
            upstream.shutdown().await.unwrap();
            question
        };
        let (result, answer, question) = tokio::join!(tunnel, asking, answering);
        result.unwrap();
        assert_eq!((question.len(), answer.len()), (100_000, 50_000));
        assert_eq!((from_client.get(), from_upstream.get()), (100_000, 50_000));
    }

    #[tokio::test]
    async fn a_slow_reader_holds_the_writer_back() {
        let (mut client, one) = duplex(64);
        let (other, upstream) = duplex(64);
        let tunnel = copy(one, other);
        let flood = async {
            let mut written = 0_usize;
            // Nobody reads at the other end: buffers fill and writing has to stop.
            while tokio::time::timeout(
                std::time::Duration::from_millis(200),
                client.write_all(&[0; 64]),
            )
            .await
            .is_ok()
            {
                written += 64;
                assert!(written <= limits::TUNNEL_BUFFER * 2 + 1024);
            }
        };
        tokio::select! {
            _ = tunnel => unreachable!("the tunnel ended"),
            () = flood => {}
        }
        drop(upstream);
    }
}
