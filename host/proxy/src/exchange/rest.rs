//! What has not been read of a request's body: shown to the plugin, sent to the upstream, or thrown away.

use std::rc::Rc;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use crate::access::Entry;
use crate::answer::Fault;
use crate::body::{Progress, RequestBody};
use crate::limits;
use crate::wasm::{RequestHead, Stream, Verdict, Wanted};

/// The rest of a request's body.
pub(super) struct Rest {
    /// `None` once somebody else reads it.
    incoming: Option<Incoming>,
    expects: bool,
    /// Whether the plugin may have kept something back.
    fed: bool,
}

impl Rest {
    /// All of it. `expects`: the client waits to be told to send it (`Expect: 100-continue`).
    pub(super) fn new(incoming: Incoming, expects: bool) -> Self {
        Self {
            incoming: Some(incoming),
            expects,
            fed: false,
        }
    }

    /// Whether there is none.
    pub(super) fn is_end(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    /// Shows it to the plugin, which keeps the request paused, as far as the plugin wants to see it. The verdict is never
    /// `Paused`.
    ///
    /// As in Envoy with `allow_on_headers_stop_iteration`, what the plugin keeps is limited. Unlike there, the client is
    /// held back while the plugin waits for the provider on behalf of this request, and not refused: so a large upload
    /// survives that its session is refreshed first.
    ///
    /// # Errors
    /// A body that is too large, does not come, or is none.
    pub(super) async fn feed(
        &mut self,
        stream: &mut Stream,
        entry: &mut Entry,
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
                part = timeout_at(deadline, part(incoming)) => part,
            };
            let chunk = part.map_err(|_| Fault::SlowClient)??;
            self.fed = true;
            entry.count_received(chunk.as_ref().map_or(0, Bytes::len) as u64);
            let end = chunk.is_none() || incoming.is_end_stream();
            match stream.request_body(&chunk.unwrap_or_default(), end) {
                Verdict::Paused if end => break,
                Verdict::Paused if stream.kept_body() > limits::PLUGIN_BODY => {
                    return Err(Fault::TooLarge);
                }
                Verdict::Paused => {}
                verdict => return Ok(verdict),
            }
        }
        Ok(stream.resumed().await)
    }

    /// The body for the upstream: what the plugin kept of it, and the rest as it arrives.
    pub(super) fn forward(
        &mut self,
        stream: Option<&mut Stream>,
        progress: &Rc<Progress>,
    ) -> RequestBody {
        let stream = stream.filter(|_| self.fed);
        let kept = stream.map(Stream::take_body).unwrap_or_default();
        match self.incoming.take() {
            Some(incoming) if !incoming.is_end_stream() => {
                RequestBody::streamed(kept, incoming, Rc::clone(progress))
            }
            _ => {
                progress.complete();
                RequestBody::whole(kept)
            }
        }
    }

    /// Throws it away. A connection that is closed while the client still sends is reset, and the client may never see the
    /// answer: so a part is read, and the rest is waited with for a moment, in which the client can find it.
    pub(super) fn drain(&mut self) {
        if let Some(incoming) = self.incoming.take()
            && !self.expects
            && !incoming.is_end_stream()
        {
            tokio::task::spawn_local(drain(incoming));
        }
    }
}

/// The next part of a body; `None` at its end, or at its trailers, which nobody judges.
async fn part(incoming: &mut Incoming) -> Result<Option<Bytes>, Fault> {
    match incoming.frame().await {
        Some(Ok(frame)) => Ok(frame.into_data().ok()),
        Some(Err(_)) => Err(Fault::BrokenClient),
        None => Ok(None),
    }
}

async fn drain(mut incoming: Incoming) {
    let mut left = limits::DRAINED_BODY;
    let reading = async {
        while let Ok(Some(chunk)) = part(&mut incoming).await {
            match left.checked_sub(chunk.len()) {
                Some(less) => left = less,
                None => std::future::pending().await,
            }
        }
    };
    // Either way it has had its time.
    let _ = timeout(limits::DRAIN_TIME, reading).await;
}
