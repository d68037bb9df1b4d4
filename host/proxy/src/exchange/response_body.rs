//! The body of a response, to the client.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::finish::Finish;
use crate::body::{BoxError, Progress};
use crate::wasm::Ended;

/// The user may no longer see the rest of a response, or the plugin that rechecks it is lost.
#[derive(Debug, thiserror::Error)]
#[error("the response was aborted")]
struct Aborted;

/// The body that a client receives.
pub(crate) struct ResponseBody {
    content: ResponseContent,
    /// Boxed, because hyper moves bodies.
    finish: Option<Box<Finish>>,
}

enum ResponseContent {
    /// All of it; `None` once it was taken.
    Whole(Option<Bytes>),
    Streamed {
        incoming: Incoming,
        progress: Rc<Progress>,
    },
}

impl ResponseBody {
    /// Returns a body that is complete.
    pub(super) fn whole(bytes: Bytes, finish: Finish) -> Self {
        Self {
            content: ResponseContent::Whole((!bytes.is_empty()).then_some(bytes)),
            finish: Some(Box::new(finish)),
        }
    }

    /// Returns the upstream's body as it arrives, which is recorded in `progress`.
    pub(super) fn streamed(incoming: Incoming, progress: Rc<Progress>, finish: Finish) -> Self {
        Self {
            content: ResponseContent::Streamed { incoming, progress },
            finish: Some(Box::new(finish)),
        }
    }

    /// Returns no body, for an upgrade, whose tunnel holds the [`Finish`].
    pub(super) fn none() -> Self {
        Self {
            content: ResponseContent::Whole(None),
            finish: None,
        }
    }

    fn count_sent(&mut self, bytes: usize) {
        if let Some(finish) = &mut self.finish {
            finish.entry.count_sent(bytes as u64);
        }
    }

    /// Releases the upstream's connection as soon as the whole body has arrived, even if the client has not read all of it.
    fn complete(&mut self) {
        if let Some(lease) = self.finish.as_mut().and_then(|finish| finish.lease.take()) {
            lease.release();
        }
    }

    /// Returns whether the plugin has ended the response, and records why.
    fn has_plugin_ended(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(finish) = &mut self.finish else {
            return false;
        };
        let stream = finish.stream.as_ref();
        let Some(Poll::Ready(ended)) = stream.map(|stream| stream.poll_closed(cx)) else {
            return false;
        };
        finish.entry.add_details(match ended {
            Ended::Closed => "the plugin ended the response",
            Ended::Lost => "the response was aborted: the plugin was restarted",
        });
        true
    }

    fn poll_streamed(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.has_plugin_ended(cx) {
            return Poll::Ready(Some(Err(Aborted.into())));
        }
        if let Some(finish) = &self.finish {
            finish.entry.pass_panic_point("body");
        }
        let ResponseContent::Streamed { incoming, progress } = &mut self.content else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        progress.advance();
        let is_end = incoming.is_end_stream();
        Poll::Ready(self.pass_frame(frame, is_end))
    }

    fn pass_frame(
        &mut self,
        frame: Option<hyper::Result<Frame<Bytes>>>,
        is_end: bool,
    ) -> Option<Result<Frame<Bytes>, BoxError>> {
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => {
                if is_end {
                    self.complete();
                }
                self.count_sent(data.len());
                Some(Ok(Frame::data(data)))
            }
            // The end, or trailers: they are dropped, because few clients read them and the plugin has not seen them.
            None | Some(Ok(Err(_))) => {
                self.complete();
                None
            }
            Some(Err(error)) => {
                if let Some(finish) = &mut self.finish {
                    finish
                        .entry
                        .add_details("the upstream aborted its response");
                }
                Some(Err(error.into()))
            }
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.get_mut();
        let ResponseContent::Whole(bytes) = &mut body.content else {
            return body.poll_streamed(cx);
        };
        let bytes = bytes.take();
        body.count_sent(bytes.as_ref().map_or(0, Bytes::len));
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            ResponseContent::Whole(bytes) => bytes.is_none(),
            ResponseContent::Streamed { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            ResponseContent::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            ResponseContent::Streamed { incoming, .. } => incoming.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let ResponseContent::Streamed { incoming, progress } = &self.content else {
            return;
        };
        if incoming.is_end_stream() {
            // A response without a body is never polled.
            self.complete();
        } else if let Some(finish) = &mut self.finish {
            finish.entry.add_details(match progress.overrun() {
                Some(_) => "the response was aborted: no data moved for too long",
                None => "the client disconnected",
            });
        }
    }
}
