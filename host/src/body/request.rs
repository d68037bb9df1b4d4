//! The request's body, from the client (or the plugin) to a server.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::BoxError;
use crate::limits;

/// Why a request's body did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyFault {
    /// The client sent nothing for too long.
    #[error("the client stopped sending the request")]
    Silent,
    /// The client's connection failed, or what it sent is no valid body.
    #[error("the client broke off the request")]
    Broken(#[source] hyper::Error),
}

/// What a server is sent. Trailers are dropped: nobody judged them.
pub(crate) struct RequestBody {
    content: Content,
}

enum Content {
    /// All of it; `None` once it was taken.
    Whole(Option<Bytes>),
    Streamed {
        incoming: Incoming,
        silence: Option<Pin<Box<Sleep>>>,
        sent: Rc<Sent>,
    },
}

/// How far a streamed body has come.
#[derive(Debug)]
pub(crate) struct Sent {
    bytes: Cell<u64>,
    progress: Cell<Instant>,
    awaits_client: Cell<bool>,
    fault: Cell<Option<Kind>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Silent,
    Broken,
}

impl Default for Sent {
    fn default() -> Self {
        Self {
            bytes: Cell::new(0),
            progress: Cell::new(Instant::now()),
            awaits_client: Cell::new(false),
            fault: Cell::new(None),
        }
    }
}

impl Sent {
    /// Bytes passed on so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Whether the client fell silent within its request.
    pub(crate) fn fell_silent(&self) -> bool {
        self.fault.get() == Some(Kind::Silent)
    }

    /// Whether the client's side of the body failed.
    pub(crate) fn broke(&self) -> bool {
        self.fault.get() == Some(Kind::Broken)
    }

    /// Completes when the server has for `limit` neither taken more of the body nor answered, although there was more or
    /// the body was complete. Time that passes because the client is slow does not count. Cancel safe.
    pub(crate) async fn stalled(&self, limit: Duration) {
        loop {
            if self.awaits_client.get() {
                tokio::time::sleep(limit).await;
                continue;
            }
            let due = self.progress.get() + limit;
            if due <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(due).await;
        }
    }

    fn advance(&self, bytes: usize) {
        self.bytes
            .set(self.bytes.get().saturating_add(bytes as u64));
        self.progress.set(Instant::now());
        self.awaits_client.set(false);
    }

    fn fail(&self, kind: Kind) {
        self.fault.set(Some(kind));
        self.awaits_client.set(false);
    }
}

impl RequestBody {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self {
            content: Content::Whole(None),
        }
    }

    /// A body that is complete.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            content: Content::Whole((!bytes.is_empty()).then_some(bytes)),
        }
    }

    /// The client's body as it arrives; `sent` tells how far it has come.
    pub(crate) fn streamed(incoming: Incoming, sent: Rc<Sent>) -> Self {
        Self {
            content: Content::Streamed {
                incoming,
                silence: None,
                sent,
            },
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Streamed {
                incoming,
                silence,
                sent,
            } => poll_streamed(incoming, silence, sent, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Streamed { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Streamed { incoming, .. } => incoming.size_hint(),
        }
    }
}

fn poll_streamed(
    incoming: &mut Incoming,
    silence: &mut Option<Pin<Box<Sleep>>>,
    sent: &Sent,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
    match Pin::new(&mut *incoming).poll_frame(cx) {
        Poll::Ready(Some(Ok(frame))) => {
            if let Some(sleep) = silence {
                sleep
                    .as_mut()
                    .reset(Instant::now() + limits::REQUEST_BODY_SILENCE);
            }
            let data = frame.into_data().ok();
            sent.advance(data.as_ref().map_or(0, Bytes::len));
            Poll::Ready(data.map(|data| Ok(Frame::data(data))))
        }
        Poll::Ready(Some(Err(error))) => {
            sent.fail(Kind::Broken);
            Poll::Ready(Some(Err(BodyFault::Broken(error).into())))
        }
        Poll::Ready(None) => {
            sent.advance(0);
            Poll::Ready(None)
        }
        Poll::Pending => {
            sent.awaits_client.set(true);
            let sleep = silence
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(limits::REQUEST_BODY_SILENCE)));
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            sent.fail(Kind::Silent);
            Poll::Ready(Some(Err(BodyFault::Silent.into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn a_whole_body_comes_once() {
        let body = RequestBody::whole(Bytes::from_static(b"abc"));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
        assert!(RequestBody::empty().is_end_stream());
        assert!(RequestBody::whole(Bytes::new()).is_end_stream());
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_servers_time_counts() {
        const LIMIT: Duration = Duration::from_secs(30);
        let sent = Sent::default();
        sent.awaits_client.set(true);
        let waited = tokio::time::timeout(LIMIT * 10, sent.stalled(LIMIT)).await;
        assert!(waited.is_err(), "a slow client is not the server's fault");
        let began = Instant::now();
        let client = async {
            for _ in 0..3 {
                tokio::time::sleep(LIMIT / 2).await;
                sent.advance(1);
            }
        };
        tokio::join!(sent.stalled(LIMIT), client);
        assert_eq!(began.elapsed(), LIMIT / 2 * 3 + LIMIT);
        assert_eq!(sent.bytes(), 3);
    }
}
