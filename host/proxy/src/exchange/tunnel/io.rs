//! One of the two connections of a tunnel, which records what passes.

use std::cell::Cell;
use std::io::Result;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;

/// Records what is read from and written to one connection of a tunnel.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    read_bytes: Cell<u64>,
    written: Cell<Frames>,
    is_stopping: Cell<bool>,
}

impl Traffic {
    /// Returns how many bytes were read from the connection.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes.get()
    }

    /// Returns the position in the frames that were written to the connection.
    pub(super) fn written(&self) -> Frames {
        self.written.get()
    }

    /// Writes only the rest of the current frame from now on.
    pub(super) fn stop_after_frame(&self) {
        self.is_stopping.set(true);
    }
}

/// A connection of a tunnel. It records what passes in `traffic`, and calls `on_read` with what it has read.
pub(super) struct TunnelIo<'a, T, F> {
    pub(super) inner: T,
    pub(super) traffic: &'a Traffic,
    pub(super) on_read: F,
}

impl<T: AsyncRead + Unpin, F: FnMut(&[u8]) + Unpin> AsyncRead for TunnelIo<'_, T, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = buf.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            let total = &self.traffic.read_bytes;
            total.set(total.get().saturating_add(read.len() as u64));
            (self.on_read)(read);
        }
        result
    }
}

impl<T: AsyncWrite + Unpin, F: Unpin> AsyncWrite for TunnelIo<'_, T, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<Result<usize>> {
        let traffic = self.traffic;
        let mut frames = traffic.written.get();
        let mut buf = buf;
        if traffic.is_stopping.get() {
            if frames.is_between() {
                // No waker is registered, because the copy is dropped next.
                return Poll::Pending;
            }
            let left = frames.clone().pass_frame(buf);
            buf = buf.get(..left).unwrap_or(buf);
        }
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        frames.pass(buf.get(..written).unwrap_or(buf));
        traffic.written.set(frames);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
