//! Copies bytes between two connections. A direction has memory only for bytes that the other side does not accept yet: an idle
//! WebSocket has none.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits;

thread_local! {
    /// The bytes that were just read, until they are written. All tunnels of a worker use it in turn.
    static JUST_READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Copies both ways until both sides have ended. Each direction reads only as fast as the other side accepts data, and ends by
/// itself.
///
/// # Errors
/// The first error of either connection.
pub(super) async fn copy(
    one: &mut (impl AsyncRead + AsyncWrite + Unpin),
    other: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<()> {
    let (mut forth, mut back) = (Direction::default(), Direction::default());
    poll_fn(|cx| {
        let forth = forth.poll_copy(cx, one, other)?;
        let back = back.poll_copy(cx, other, one)?;
        if forth.is_ready() && back.is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

/// One direction.
#[derive(Default)]
struct Direction {
    /// Bytes that were read and are not written yet.
    waiting: Vec<u8>,
    /// How many of them have been written since.
    written: usize,
    is_unflushed: bool,
    /// Whether everything was read.
    has_ended: bool,
    /// Whether the end was passed on, too.
    is_closed: bool,
}

impl Direction {
    /// Copies until one side has to be waited for. Ready when everything, and the end, was passed on.
    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<()>> {
        while !self.is_closed {
            ready!(self.poll_write_waiting(cx, to))?;
            if !self.has_ended && self.poll_pass_on(cx, from, to)?.is_ready() {
                continue;
            }
            if self.is_unflushed {
                ready!(Pin::new(&mut *to).poll_flush(cx))?;
                self.is_unflushed = false;
            }
            if !self.has_ended {
                return Poll::Pending;
            }
            ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
            self.is_closed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the bytes that wait, and gives their memory back.
    fn poll_write_waiting(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<()>> {
        while let Some(rest @ [_, ..]) = self.waiting.get(self.written..) {
            self.written += ready!(poll_write(cx, to, rest))?;
            self.is_unflushed = true;
        }
        (self.waiting, self.written) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// Reads once, and writes what it has read; the rest waits.
    fn poll_pass_on(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<()>> {
        let mut memory = JUST_READ.take();
        memory.resize(limits::TUNNEL_BUFFER, 0);
        let mut buffer = ReadBuf::new(&mut memory);
        let result = match Pin::new(from).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(self.write(cx, to, buffer.filled())),
            other => other,
        };
        JUST_READ.set(memory);
        result
    }

    /// Writes bytes that were read, as far as they are accepted now. No bytes are the end.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl AsyncWrite + Unpin),
        bytes: &[u8],
    ) -> Result<()> {
        self.has_ended = bytes.is_empty();
        let mut rest = bytes;
        while !rest.is_empty() {
            let Poll::Ready(written) = poll_write(cx, to, rest) else {
                rest.clone_into(&mut self.waiting);
                return Ok(());
            };
            rest = rest.get(written?..).unwrap_or_default();
            self.is_unflushed = true;
        }
        Ok(())
    }
}

/// Writes at least one byte.
fn poll_write(
    cx: &mut Context<'_>,
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Poll<Result<usize>> {
    match ready!(Pin::new(to).poll_write(cx, bytes))? {
        0 => Poll::Ready(Err(Error::from(ErrorKind::WriteZero))),
        written => Poll::Ready(Ok(written)),
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn only_bytes_that_wait_have_memory() {
        let sent: Vec<u8> = (0..200).collect();
        let (mut client, mut from) = duplex(1024);
        let (mut to, mut upstream) = duplex(64);
        let mut direction = Direction::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(
            direction
                .poll_copy(&mut cx, &mut from, &mut to)
                .is_pending()
        );
        assert_eq!(direction.waiting.capacity(), 0);

        client.write_all(&sent).await.unwrap();
        let mut received = Vec::new();
        for waits in [136, 136, 136, 0] {
            assert!(
                direction
                    .poll_copy(&mut cx, &mut from, &mut to)
                    .is_pending()
            );
            assert_eq!(direction.waiting.len(), waits);
            let mut part = [0; 64];
            let count = upstream.read(&mut part).await.unwrap();
            received.extend_from_slice(&part[..count]);
        }
        assert_eq!(direction.waiting.capacity(), 0);
        assert_eq!(received, sent);
    }
}
