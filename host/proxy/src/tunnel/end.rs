//! One of the two connections of a tunnel, with an eye on what passes.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;

/// What is known of one end while bytes are copied from and to it.
#[derive(Debug, Default)]
pub(super) struct Watched {
    read: Cell<u64>,
    written: Cell<Frames>,
    ending: Cell<bool>,
}

impl Watched {
    /// Bytes that were read from it.
    pub(super) fn read(&self) -> u64 {
        self.read.get()
    }

    /// The frames that were written to it.
    pub(super) fn written(&self) -> Frames {
        self.written.get()
    }

    /// From now on, writes only what is left of the frame under way.
    pub(super) fn end(&self) {
        self.ending.set(true);
    }
}

/// A connection. Shows `heard` what it has read each time.
pub(super) struct End<'a, T, F> {
    pub(super) inner: T,
    pub(super) watched: &'a Watched,
    pub(super) heard: F,
}

impl<T: AsyncRead + Unpin, F: FnMut(&[u8]) + Unpin> AsyncRead for End<'_, T, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = buf.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            let total = &self.watched.read;
            total.set(total.get().saturating_add(read.len() as u64));
            (self.heard)(read);
        }
        result
    }
}

impl<T: AsyncWrite + Unpin, F: Unpin> AsyncWrite for End<'_, T, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let watched = self.watched;
        let mut frames = watched.written.get();
        let mut buf = buf;
        if watched.ending.get() {
            if frames.is_between() {
                // Nobody is woken for this: the copy is about to be given up.
                return Poll::Pending;
            }
            let left = frames.clone().pass_frame(buf);
            buf = buf.get(..left).unwrap_or(buf);
        }
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        frames.pass(buf.get(..written).unwrap_or(buf));
        watched.written.set(frames);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
