//! The body of a request, from the client (or the plugin) to a server.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{BoxError, Progress};

/// The client's connection failed, or what it sent is not a valid body.
#[derive(Debug, thiserror::Error)]
#[error("the client aborted the request")]
struct BrokenOff(#[source] hyper::Error);

/// The body that a server receives. Trailers are dropped, because no policy has seen them.
pub(crate) struct RequestBody {
    content: RequestContent,
}

enum RequestContent {
    /// All of it; `None` once it was taken.
    Whole(Option<Bytes>),
    Streamed {
        /// The part that was read before; empty once it was taken.
        before: Bytes,
        incoming: Incoming,
        progress: Rc<Progress>,
    },
}

impl RequestBody {
    /// Returns no body.
    pub(crate) fn empty() -> Self {
        Self {
            content: RequestContent::Whole(None),
        }
    }

    /// Returns a body that is complete.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            content: RequestContent::Whole((!bytes.is_empty()).then_some(bytes)),
        }
    }

    /// Returns the client's body: the part that was read before, and the rest as it arrives, which is recorded in
    /// `progress`.
    pub(crate) fn streamed(before: Bytes, incoming: Incoming, progress: Rc<Progress>) -> Self {
        Self {
            content: RequestContent::Streamed {
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
            RequestContent::Whole(bytes) => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            RequestContent::Streamed { before, .. } if !before.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(before)))))
            }
            RequestContent::Streamed {
                incoming, progress, ..
            } => {
                let frame = std::task::ready!(Pin::new(&mut *incoming).poll_frame(cx));
                let frame = pass_frame(frame, progress);
                // After its last part, hyper does not poll a body with a length again.
                if incoming.is_end_stream() {
                    progress.complete();
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            RequestContent::Whole(bytes) => bytes.is_none(),
            RequestContent::Streamed {
                before, incoming, ..
            } => before.is_empty() && incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            RequestContent::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            RequestContent::Streamed {
                before, incoming, ..
            } => extend_size(before.len() as u64, &incoming.size_hint()),
        }
    }
}

/// Returns the size of `before` bytes and what follows them.
fn extend_size(before: u64, rest: &SizeHint) -> SizeHint {
    let mut size = SizeHint::new();
    size.set_lower(rest.lower().saturating_add(before));
    if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(before)) {
        size.set_upper(upper);
    }
    size
}

fn pass_frame(
    frame: Option<hyper::Result<Frame<Bytes>>>,
    progress: &Progress,
) -> Option<Result<Frame<Bytes>, BoxError>> {
    match frame.map(|frame| frame.map(Frame::into_data)) {
        Some(Ok(Ok(data))) => {
            progress.receive(data.len());
            Some(Ok(Frame::data(data)))
        }
        Some(Err(error)) => {
            progress.abort();
            Some(Err(BrokenOff(error).into()))
        }
        // The end, or trailers, which mark the end too.
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
        assert_eq!(extend_size(3, &SizeHint::with_exact(4)).exact(), Some(7));
        let unknown = extend_size(3, &SizeHint::new());
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
