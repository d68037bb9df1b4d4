//! The body of a request: buffered for the plugin, sent to the upstream, or discarded.

use std::rc::Rc;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use crate::access::AccessEntry;
use crate::body::{Progress, RequestBody};
use crate::fault::Fault;
use crate::limits;
use crate::wasm::{RequestHead, Stream, Verdict, Wanted};

/// The part of a request's body that has not been read.
pub(super) struct IncomingBody {
    /// `None` once the body was handed over.
    incoming: Option<Incoming>,
    expects_continue: bool,
    /// Whether the plugin may have buffered a part.
    was_shown: bool,
}

impl IncomingBody {
    /// Begins with the whole body. `expects_continue` says that the client waits for `100 Continue` before it sends the body.
    pub(super) fn new(incoming: Incoming, expects_continue: bool) -> Self {
        Self {
            incoming: Some(incoming),
            expects_continue,
            was_shown: false,
        }
    }

    /// Returns whether nothing is left.
    pub(super) fn is_end(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    /// Shows the body to the plugin, which has paused the request, as far as the plugin reads it. The verdict is never `Paused`.
    ///
    /// As in Envoy with `allow_on_headers_stop_iteration`, the size of the buffer is limited. Unlike Envoy, this stops reading
    /// from the client while the plugin waits for the provider, instead of refusing the request, so that a large upload
    /// survives a session refresh before it.
    ///
    /// # Errors
    /// The body is too large, does not arrive in time, or is not valid.
    pub(super) async fn buffer_for_plugin(
        &mut self,
        stream: &mut Stream,
        entry: &mut AccessEntry,
    ) -> Result<Verdict<RequestHead>, Fault> {
        let mut deadline = None;
        while let Some(incoming) = &mut self.incoming {
            match stream.wanted().await {
                Wanted::Nothing(verdict) => return Ok(verdict),
                Wanted::Body => {}
            }
            let deadline =
                *deadline.get_or_insert_with(|| Instant::now() + limits::PLUGIN_BODY_TIME);
            let part = tokio::select! {
                verdict = stream.resumed() => return Ok(verdict),
                part = timeout_at(deadline, read_part(incoming)) => part,
            };
            let part = part.map_err(|_| Fault::SlowClient)??;
            self.was_shown = true;
            entry.count_received(part.as_ref().map_or(0, Bytes::len) as u64);
            let is_end = part.is_none() || incoming.is_end_stream();
            match stream.request_body(&part.unwrap_or_default(), is_end) {
                Verdict::Paused if is_end => break,
                Verdict::Paused if stream.kept_body() > limits::PLUGIN_BODY => {
                    return Err(Fault::TooLarge);
                }
                Verdict::Paused => {}
                verdict => return Ok(verdict),
            }
        }
        Ok(stream.resumed().await)
    }

    /// Returns the body for the upstream: the part that the plugin buffered, and the rest as it arrives.
    pub(super) fn forward(
        &mut self,
        stream: Option<&mut Stream>,
        progress: &Rc<Progress>,
    ) -> RequestBody {
        let stream = stream.filter(|_| self.was_shown);
        let buffered = stream.map(Stream::take_body).unwrap_or_default();
        match self.incoming.take() {
            Some(incoming) if !incoming.is_end_stream() => {
                RequestBody::streamed(buffered, incoming, Rc::clone(progress))
            }
            _ => {
                progress.complete();
                RequestBody::whole(buffered)
            }
        }
    }

    /// Discards the body. A connection that is closed while the client still sends is reset, and the client may never see the
    /// response. So this reads a part and waits a moment, in which the client can read the response.
    pub(super) fn discard(&mut self) {
        if let Some(incoming) = self.incoming.take()
            && !self.expects_continue
            && !incoming.is_end_stream()
        {
            tokio::task::spawn_local(drain(incoming));
        }
    }
}

/// Reads the next part of a body; `None` at its end, or at its trailers, which are dropped.
async fn read_part(incoming: &mut Incoming) -> Result<Option<Bytes>, Fault> {
    match incoming.frame().await {
        Some(Ok(frame)) => Ok(frame.into_data().ok()),
        Some(Err(_)) => Err(Fault::BrokenClient),
        None => Ok(None),
    }
}

async fn drain(mut incoming: Incoming) {
    let mut left = limits::DRAINED_BODY;
    let reading = async {
        while let Ok(Some(part)) = read_part(&mut incoming).await {
            match left.checked_sub(part.len()) {
                Some(less) => left = less,
                None => std::future::pending().await,
            }
        }
    };
    // The body is dropped in either case.
    let _ = timeout(limits::DRAIN_TIME, reading).await;
}
