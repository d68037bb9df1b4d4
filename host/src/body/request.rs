//! The request's body, from the client (or the plugin) to a server.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{BoxError, Progress};

/// The client's connection failed, or what it sent is no valid body.
#[derive(Debug, thiserror::Error)]
#[error("the client broke off the request")]
struct BrokenOff(#[source] hyper::Error);

/// What a server is sent. Trailers are dropped: nobody judged them.
pub(crate) struct RequestBody {
    content: Content,
}

enum Content {
    /// All of it; `None` once it was taken.
    Whole(Option<Bytes>),
    Streamed {
        incoming: Incoming,
        progress: Rc<Progress>,
    },
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

    /// The client's body as it arrives, noted in `progress`.
    pub(crate) fn streamed(incoming: Incoming, progress: Rc<Progress>) -> Self {
        Self {
            content: Content::Streamed { incoming, progress },
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
            Content::Streamed { incoming, progress } => {
                let frame = std::task::ready!(Pin::new(&mut *incoming).poll_frame(cx));
                let frame = passed_on(frame, progress);
                // After its last part, a body of stated length is not polled again.
                if incoming.is_end_stream() {
                    progress.complete();
                }
                Poll::Ready(frame)
            }
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

fn passed_on(
    frame: Option<hyper::Result<Frame<Bytes>>>,
    progress: &Progress,
) -> Option<Result<Frame<Bytes>, BoxError>> {
    match frame.map(|frame| frame.map(Frame::into_data)) {
        Some(Ok(Ok(data))) => {
            progress.receive(data.len());
            Some(Ok(Frame::data(data)))
        }
        Some(Err(error)) => {
            progress.break_off();
            Some(Err(BrokenOff(error).into()))
        }
        // The end, or trailers, which are the end too.
        None | Some(Ok(Err(_))) => {
            progress.complete();
            None
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
}
