//! The response's body, to the client, and what ends together with it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::{BoxError, Progress};
use crate::access::Entry;
use crate::connection::Active;
use crate::upstream::Lease;
use crate::wasm;

/// The visitor may not see the rest of an answer that is long under way, or nobody could say whether.
#[derive(Debug, thiserror::Error)]
#[error("the answer was broken off")]
struct NotWatched;

/// What a client is sent.
pub(crate) struct Body {
    content: Content,
    /// Boxed: bodies are moved about by hyper.
    finish: Option<Box<Finish>>,
}

enum Content {
    /// All of it; `None` once it was taken.
    Whole(Option<Bytes>),
    Streamed {
        incoming: Incoming,
        progress: Rc<Progress>,
    },
}

/// What lives until the body has been sent or given up.
pub(crate) struct Finish {
    /// Writes the log line.
    pub(crate) entry: Entry,
    /// The upstream connection, for the next request.
    pub(crate) lease: Option<Lease>,
    /// The request's context in the plugin.
    pub(crate) stream: Option<wasm::Stream>,
    /// Keeps the client's connection from counting as idle.
    _active: Active,
}

impl Finish {
    /// Binds them together.
    pub(crate) fn new(
        entry: Entry,
        lease: Option<Lease>,
        stream: Option<wasm::Stream>,
        active: Active,
    ) -> Self {
        Self {
            entry,
            lease,
            stream,
            _active: active,
        }
    }
}

impl Body {
    /// A body that is complete.
    pub(crate) fn whole(bytes: Bytes, finish: Finish) -> Self {
        Self {
            content: Content::Whole((!bytes.is_empty()).then_some(bytes)),
            finish: Some(Box::new(finish)),
        }
    }

    /// The upstream's body as it arrives, noted in `progress`.
    pub(crate) fn streamed(incoming: Incoming, progress: Rc<Progress>, finish: Finish) -> Self {
        Self {
            content: Content::Streamed { incoming, progress },
            finish: Some(Box::new(finish)),
        }
    }

    /// A body whose end is somebody else's business, for an upgrade.
    pub(crate) fn none() -> Self {
        Self {
            content: Content::Whole(None),
            finish: None,
        }
    }

    fn count(&mut self, bytes: usize) {
        if let Some(finish) = &mut self.finish {
            finish.entry.count_sent(bytes as u64);
        }
    }

    /// Everything arrived from the upstream: its connection is free at once, and not only when the client has it all.
    fn complete(&mut self) {
        if let Some(lease) = self.finish.as_mut().and_then(|finish| finish.lease.take()) {
            lease.release();
        }
    }

    fn poll_streamed(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(finish) = &mut self.finish
            && let Some(Poll::Ready(ended)) = finish.stream.as_ref().map(|it| it.poll_closed(cx))
        {
            finish.entry.details(match ended {
                wasm::Ended::Closed => "the plugin ended the answer",
                wasm::Ended::Lost => "the answer was broken off: the plugin was restarted",
            });
            return Poll::Ready(Some(Err(NotWatched.into())));
        }
        if let Some(finish) = &self.finish {
            finish.entry.fault_point("body");
        }
        let Content::Streamed { incoming, progress } = &mut self.content else {
            return Poll::Ready(None);
        };
        let frame = std::task::ready!(Pin::new(&mut *incoming).poll_frame(cx));
        progress.advance();
        let ended = incoming.is_end_stream();
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    if ended {
                        self.complete();
                    }
                    self.count(data.len());
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
                // Trailers are dropped: few clients read them, and the plugin has not seen them.
                Err(_) => {
                    self.complete();
                    Poll::Ready(None)
                }
            },
            Some(Err(error)) => {
                if let Some(finish) = &mut self.finish {
                    finish.entry.details("upstream broke off its answer");
                }
                Poll::Ready(Some(Err(error.into())))
            }
            None => {
                self.complete();
                Poll::Ready(None)
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.get_mut();
        let Content::Whole(bytes) = &mut body.content else {
            return body.poll_streamed(cx);
        };
        let bytes = bytes.take();
        body.count(bytes.as_ref().map_or(0, Bytes::len));
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
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

impl Drop for Body {
    fn drop(&mut self) {
        let Content::Streamed { incoming, progress } = &self.content else {
            return;
        };
        if incoming.is_end_stream() {
            // An answer without a body is never polled.
            self.complete();
        } else if let Some(finish) = &mut self.finish {
            finish.entry.details(match progress.overrun() {
                Some(_) => "the answer was broken off: nothing came or went for too long",
                None => "the client went away",
            });
        }
    }
}
