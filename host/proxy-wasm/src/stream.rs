//! One request's way through the plugin, as the proxy holds it.

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

/// Longest time for which the plugin may keep a message paused. It waits for a few calls with timeouts of their own;
/// one that is still paused after so long was forgotten, and nothing else would end it.
const PAUSE_LIMIT: Duration = Duration::from_secs(60);

/// Why a stream has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The plugin reset it.
    Closed,
    /// The instance that knew it is gone, so that no plugin watches it any more.
    Lost,
}

/// What a paused request waits for.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and a verdict would be as large by itself"
)]
pub enum Wanted {
    /// Nothing any more: this was decided, which is never `Paused`.
    Nothing(Verdict<RequestHead>),
    /// More of its body.
    Body,
}

/// One request's context in the plugin. Dropping it tells the plugin that the request is over: log, done, delete.
pub struct Stream {
    plugin: Rc<Plugin>,
    id: u32,
    generation: u64,
}

impl Stream {
    /// The stream of that context in that instance. No instance has generation 0.
    pub(crate) fn new(plugin: Rc<Plugin>, id: u32, generation: u64) -> Self {
        Self {
            plugin,
            id,
            generation,
        }
    }

    /// Waits for the decision about a paused request. Never `Paused`. Cancel safe.
    pub async fn resumed(&mut self) -> Verdict<RequestHead> {
        let verdict = poll_fn(|context| {
            self.poll(context, |stream| match stream.phase {
                Phase::Request(_) => None,
                _ => Some(stream.take_request_verdict().unwrap_or(Verdict::Failed)),
            })
        });
        within_limit(verdict).await
    }

    /// Waits for the decision about a paused request, or until the plugin wants to see more of its body. While an HTTP call
    /// is under way that the plugin made for this request, it waits for that and not for the body. Cancel safe.
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

    /// Shows the plugin more of the body of a request that it keeps paused. Empty at the end if need be.
    pub fn request_body(&mut self, chunk: &[u8], end_of_stream: bool) -> Verdict<RequestHead> {
        let id = self.id;
        let verdict = self.plugin.enter(Some(self.generation), |instance| {
            instance.request_body(id, chunk, end_of_stream)
        });
        verdict.unwrap_or(Verdict::Failed)
    }

    /// How much the plugin keeps back of the request's body.
    pub fn kept_body(&self) -> usize {
        let kept = |stream: &mut StreamContext| stream.body.bytes().len();
        self.plugin
            .stream(self.generation, self.id, kept)
            .unwrap_or_default()
    }

    /// What the plugin kept back of the body of a request that goes on, with what it made of it.
    pub fn take_body(&mut self) -> Bytes {
        let take = |stream: &mut StreamContext| stream.body.take();
        self.plugin
            .stream(self.generation, self.id, take)
            .unwrap_or_default()
    }

    /// Tells the plugin that the client sent this many bytes over its open websocket, and how they begin.
    pub fn client_spoke(&self, bytes: u64, beginning: &[u8]) {
        let (id, bytes) = (self.id, u32::try_from(bytes).unwrap_or(u32::MAX));
        self.plugin.enter(Some(self.generation), |instance| {
            instance.client_spoke(id, bytes, beginning)
        });
    }

    /// Shows a response's head to the plugin: the upstream's, or one that the proxy made itself, but not a local reply.
    pub fn response(&mut self, head: ResponseHead, end_of_stream: bool) -> Verdict<ResponseHead> {
        let id = self.id;
        let verdict = self.plugin.enter(Some(self.generation), |instance| {
            instance.response(id, head, end_of_stream)
        });
        verdict.unwrap_or(Verdict::Failed)
    }

    /// Waits for the decision about a paused response. Never `Paused`. Cancel safe.
    pub async fn response_resumed(&mut self) -> Verdict<ResponseHead> {
        let verdict = poll_fn(|context| {
            self.poll(context, |stream| match stream.phase {
                Phase::Response(_) => None,
                _ => Some(stream.take_response_verdict().unwrap_or(Verdict::Failed)),
            })
        });
        within_limit(verdict).await
    }

    /// Completes when a stream whose heads have passed has to end, e.g. a websocket of a visitor who signed out.
    /// Cancel safe.
    pub async fn closed(&self) -> Ended {
        poll_fn(|context| self.poll_closed(context)).await
    }

    /// As [`Stream::closed`], as a poll function. Only the last task that polled is woken.
    pub fn poll_closed(&self, context: &Context<'_>) -> Poll<Ended> {
        let poll = self.look(context, |stream| stream.closed.then_some(Ended::Closed));
        poll.map(|ended| ended.unwrap_or(Ended::Lost))
    }

    /// Waits until `decide` has a verdict. There is none to come when the instance is gone.
    fn poll<Head>(
        &self,
        context: &Context<'_>,
        decide: impl FnOnce(&mut StreamContext) -> Option<Verdict<Head>>,
    ) -> Poll<Verdict<Head>> {
        self.look(context, decide)
            .map(|verdict| verdict.unwrap_or(Verdict::Failed))
    }

    /// Waits until `find` finds something. `None` when the instance is gone.
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

/// A stream that stays paused for too long is refused.
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
        // Outside of the runtime, that is after its end, the plugin could start nothing and its log is of no use.
        if self.generation != 0 && Handle::try_current().is_ok() {
            let id = self.id;
            self.plugin
                .enter(Some(self.generation), |instance| instance.end(id));
        }
    }
}
