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
        /// What was read before; empty once it was taken.
        before: Bytes,
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

    /// The client's body: what was read of it before, and the rest as it arrives, noted in `progress`.
    pub(crate) fn streamed(before: Bytes, incoming: Incoming, progress: Rc<Progress>) -> Self {
        Self {
            content: Content::Streamed {
                before,
                incoming,
                progress,
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
            Content::Streamed { before, .. } if !before.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(before)))))
            }
            Content::Streamed {
                incoming, progress, ..
            } => {
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
            Content::Streamed {
                before, incoming, ..
            } => before.is_empty() && incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Streamed {
                before, incoming, ..
            } => after(before.len() as u64, &incoming.size_hint()),
        }
    }
}

/// The size of what comes after `before` bytes, with them.
fn after(before: u64, rest: &SizeHint) -> SizeHint {
    let mut size = SizeHint::new();
    size.set_lower(rest.lower().saturating_add(before));
    if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(before)) {
        size.set_upper(upper);
    }
    size
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

    #[test]
    fn the_size_is_that_of_both_parts() {
        assert_eq!(after(3, &SizeHint::with_exact(4)).exact(), Some(7));
        let unknown = after(3, &SizeHint::new());
        assert_eq!((unknown.lower(), unknown.upper()), (3, None));
    }

    #[tokio::test]
    async fn a_whole_body_comes_once() {
        let body = RequestBody::whole(Bytes::from_static(b"abc"));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
        assert!(RequestBody::empty().is_end_stream());
        assert!(RequestBody::whole(Bytes::new()).is_end_stream());
    }
}
