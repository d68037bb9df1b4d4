//! One request in the plugin, from the proxy's side.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::context::{Phase, StreamContext};
use crate::plugin::Plugin;
use crate::{RequestHead, ResponseHead, Verdict};

/// Longest time for which the plugin may keep a message paused. A plugin waits for a few calls with timeouts of their
/// own. A message that is paused this long was forgotten, and nothing else would end it.
const PAUSE_LIMIT: Duration = Duration::from_secs(60);

/// The reason why a stream has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The plugin reset it.
    Closed,
    /// Its instance has stopped, so that no plugin checks the stream any more.
    Lost,
}

/// The reason why a paused request was woken.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and a verdict would be as large by itself"
)]
pub enum Wanted {
    /// The request was decided; the verdict is never `Paused`.
    Nothing(Verdict<RequestHead>),
    /// The plugin needs more of the request's body.
    Body,
}

/// One request in the plugin. Dropping it ends the request's context: log, done, delete.
pub struct Stream {
    plugin: Rc<Plugin>,
    id: u32,
    generation: u64,
}

impl Stream {
    /// Creates the stream of that context in that instance. No instance has generation 0.
    pub(crate) fn new(plugin: Rc<Plugin>, id: u32, generation: u64) -> Self {
        Self {
            plugin,
            id,
            generation,
        }
    }

    /// Waits for the decision about a paused request. Never returns `Paused`. Cancel safe.
    pub async fn resumed(&mut self) -> Verdict<RequestHead> {
        let verdict = poll_fn(|context| {
            self.poll(context, |stream| match stream.phase {
                Phase::Request(_) => None,
                _ => Some(stream.take_request_verdict().unwrap_or(Verdict::Failed)),
            })
        });
        within_limit(verdict).await
    }

    /// Waits for the decision about a paused request, or until the plugin needs more of its body. While an HTTP call
    /// for this request is in progress, it waits for the call and not for the body. Cancel safe.
    pub async fn wanted(&mut self) -> Wanted {
        let wanted = poll_fn(|context| {
            let wanted = self.look(context, |stream| match stream.phase {
                Phase::Request(_) if stream.reads_body && stream.calls == 0 => Some(Wanted::Body),
                Phase::Request(_) => None,
                _ => stream.take_request_verdict().map(Wanted::Nothing),
            });
            wanted.map(|wanted| wanted.unwrap_or(Wanted::Nothing(Verdict::Failed)))
        });
        match timeout(PAUSE_LIMIT, wanted).await {
            Ok(wanted) => wanted,
            Err(_) => Wanted::Nothing(forgotten()),
        }
    }

    /// Passes more of the body of a paused request to the plugin. The last chunk may be empty.
    pub fn request_body(&mut self, chunk: &[u8], end_of_stream: bool) -> Verdict<RequestHead> {
        let id = self.id;
        let verdict = self.plugin.enter(Some(self.generation), |instance| {
            instance.request_body(id, chunk, end_of_stream)
        });
        verdict.unwrap_or(Verdict::Failed)
    }

    /// Returns the number of buffered bytes of the request's body.
    pub fn kept_body(&self) -> usize {
        let kept = |stream: &mut StreamContext| stream.body.bytes().len();
        self.plugin
            .stream(self.generation, self.id, kept)
            .unwrap_or_default()
    }

    /// Takes the buffered body of a request that goes on, with the plugin's changes.
    pub fn take_body(&mut self) -> Bytes {
        let take = |stream: &mut StreamContext| stream.body.take();
        self.plugin
            .stream(self.generation, self.id, take)
            .unwrap_or_default()
    }

    /// Informs the plugin that the client sent this many bytes over its open websocket, and how they begin.
    pub fn client_spoke(&self, bytes: u64, beginning: &[u8]) {
        let (id, bytes) = (self.id, u32::try_from(bytes).unwrap_or(u32::MAX));
        self.plugin.enter(Some(self.generation), |instance| {
            instance.client_spoke(id, bytes, beginning)
        });
    }

    /// Passes a response's head to the plugin: the upstream's, or one that the proxy itself made, but not a local
    /// reply.
    pub fn response(&mut self, head: ResponseHead, end_of_stream: bool) -> Verdict<ResponseHead> {
        let id = self.id;
        let verdict = self.plugin.enter(Some(self.generation), |instance| {
            instance.response(id, head, end_of_stream)
        });
        verdict.unwrap_or(Verdict::Failed)
    }

    /// Waits for the decision about a paused response. Never returns `Paused`. Cancel safe.
    pub async fn response_resumed(&mut self) -> Verdict<ResponseHead> {
        let verdict = poll_fn(|context| {
            self.poll(context, |stream| match stream.phase {
                Phase::Response(_) => None,
                _ => Some(stream.take_response_verdict().unwrap_or(Verdict::Failed)),
            })
        });
        within_limit(verdict).await
    }

    /// Completes when a stream whose heads have been forwarded has to end, e.g. a websocket of a user who signed out.
    /// Cancel safe.
    pub async fn closed(&self) -> Ended {
        poll_fn(|context| self.poll_closed(context)).await
    }

    /// Returns the value that the plugin attached to the stream under this name with `proxy_set_property`.
    pub fn attached_property(&self, name: &str) -> Option<Vec<u8>> {
        let read =
            |stream: &mut StreamContext| stream.property(name.as_bytes()).map(<[u8]>::to_vec);
        self.plugin.stream(self.generation, self.id, read).flatten()
    }

    /// Polls like [`Stream::closed`]. Only the last task that polled is woken.
    pub fn poll_closed(&self, context: &Context<'_>) -> Poll<Ended> {
        let poll = self.look(context, |stream| stream.closed.then_some(Ended::Closed));
        poll.map(|ended| ended.unwrap_or(Ended::Lost))
    }

    /// Waits until `decide` has a verdict. There will be none when the instance has stopped.
    fn poll<Head>(
        &self,
        context: &Context<'_>,
        decide: impl FnOnce(&mut StreamContext) -> Option<Verdict<Head>>,
    ) -> Poll<Verdict<Head>> {
        self.look(context, decide)
            .map(|verdict| verdict.unwrap_or(Verdict::Failed))
    }

    /// Waits until `find` returns a value. Returns `None` when the instance has stopped.
    fn look<T>(
        &self,
        context: &Context<'_>,
        find: impl FnOnce(&mut StreamContext) -> Option<T>,
    ) -> Poll<Option<T>> {
        let found = self.plugin.stream(self.generation, self.id, |stream| {
            let found = find(stream);
            if found.is_none() {
                stream.waker = Some(context.waker().clone());
            }
            found
        });
        match found {
            Some(None) => Poll::Pending,
            Some(found) => Poll::Ready(found),
            None => Poll::Ready(None),
        }
    }
}

/// Refuses a stream that stays paused for too long.
async fn within_limit<Head>(verdict: impl Future<Output = Verdict<Head>>) -> Verdict<Head> {
    timeout(PAUSE_LIMIT, verdict)
        .await
        .unwrap_or_else(|_| forgotten())
}

fn forgotten<Head>() -> Verdict<Head> {
    tracing::error!("the plugin kept a message paused for too long; it was refused");
    Verdict::Failed
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Outside of the runtime, after its end, the plugin could start nothing and its log is of no use.
        if self.generation != 0 && Handle::try_current().is_ok() {
            let id = self.id;
            self.plugin
                .enter(Some(self.generation), |instance| instance.end(id));
        }
    }
}
