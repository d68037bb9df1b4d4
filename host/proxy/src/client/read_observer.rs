//! Observes what is read from a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::HeadFinder;

/// Shows whether bytes were read. It is atomic only because the HTTP library demands connections that could move between
/// threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadFlag(Arc<AtomicBool>);

impl ReadFlag {
    /// Returns whether bytes were read since the last call.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// A connection that sets a [`ReadFlag`] when bytes are read, and shows them to a [`HeadFinder`].
pub(crate) struct ReadObserver<T> {
    inner: T,
    was_read: ReadFlag,
    finder: HeadFinder,
}

impl<T> ReadObserver<T> {
    /// Observes the reads of `inner`.
    pub(crate) fn new(was_read: ReadFlag, finder: HeadFinder, inner: T) -> Self {
        Self {
            inner,
            was_read,
            finder,
        }
    }

    /// Returns the connection.
    pub(crate) fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Returns the connection without the observation.
    pub(crate) fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ReadObserver<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if !bytes.is_empty() {
            self.was_read.0.store(true, Ordering::Relaxed);
            self.finder.follow(bytes);
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ReadObserver<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
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
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn bytes_set_the_flag_and_an_end_does_not() {
        let was_read = ReadFlag::default();
        let finder = HeadFinder::default();
        let mut connection = ReadObserver::new(was_read.clone(), finder, b"ab".as_slice());
        assert!(!was_read.take());
        connection.read_u8().await.unwrap();
        assert!(was_read.take() && !was_read.take());
        connection.read_u8().await.unwrap();
        assert!(was_read.take());
        assert!(connection.read_u8().await.is_err());
        assert!(!was_read.take());
    }
}
