//! The host's side of the plugin's contexts: one for each request, from its head to its log line.

use std::collections::HashMap;
use std::task::Waker;

use http::StatusCode;
use rustc_hash::FxHashMap;

use crate::request_body::RequestBuffer;
use crate::{LocalReply, RequestHead, ResponseHead, StreamFacts, Verdict};

/// Context number of the plugin's root context. Streams have higher numbers.
pub(crate) const ROOT: u32 = 1;

/// Most bytes of names and values that a plugin may attach to one stream with `proxy_set_property`.
const PROPERTIES_LIMIT: usize = 64 * 1024;

/// The phase of a stream. It holds a head exactly while the plugin may read and edit it.
pub(crate) enum Phase {
    /// The plugin handles the request's head, or keeps it paused.
    Request(RequestHead),
    /// The plugin has decided the request; the proxy has not yet taken the verdict.
    RequestDecided(Verdict<RequestHead>),
    /// There is no head: the request is with the upstream, or the response is on its way to the client.
    Passing,
    /// The plugin handles a response's head, or keeps it paused.
    Response(ResponseHead),
    /// The plugin has decided the response; the proxy has not yet taken the verdict.
    ResponseDecided(Verdict<ResponseHead>),
    /// The stream has ended.
    Over,
}

/// The actions that the plugin requested during a callback. They are applied after the callback has returned.
#[derive(Default)]
pub(crate) struct PendingActions {
    /// Continue the paused head.
    pub resume: bool,
    /// Reset the stream.
    pub close: bool,
    /// Answer the client. The first reply in a callback counts.
    pub reply: Option<LocalReply>,
}

/// The context of one request.
pub(crate) struct StreamContext {
    /// Facts that are not in the head.
    pub facts: StreamFacts,
    /// The stream's phase.
    pub phase: Phase,
    /// The actions that the plugin requested in the current callback.
    pub pending: PendingActions,
    /// The plugin left the current head without a required valid value: it must not be sent.
    pub broken: bool,
    /// The plugin reset the stream after its request was forwarded.
    pub closed: bool,
    /// The request's body as the plugin buffers it (buffer 0).
    pub body: RequestBuffer,
    /// Whether the plugin has a callback for request bodies.
    pub reads_body: bool,
    /// HTTP calls in progress that were made in this context.
    pub calls: u32,
    /// Status code of the response, once known (property `response.code`).
    pub status: Option<StatusCode>,
    /// The plugin's reason for its own reply (property `response.code_details`).
    pub details: Option<String>,
    /// The task that waits for a decision or for the end of the stream.
    pub waker: Option<Waker>,
    properties: AttachedProperties,
}

impl StreamContext {
    /// Creates a context whose request head the plugin is about to see.
    pub(crate) fn new(head: RequestHead, facts: StreamFacts, body: RequestBuffer) -> Self {
        Self {
            facts,
            phase: Phase::Request(head),
            pending: PendingActions::default(),
            broken: false,
            closed: false,
            body,
            reads_body: false,
            calls: 0,
            status: None,
            details: None,
            waker: None,
            properties: AttachedProperties::default(),
        }
    }

    /// Takes the request's head as the plugin left it.
    pub(crate) fn take_request_head(&mut self) -> Verdict<RequestHead> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Request(head) if !self.broken => Verdict::Continue(head),
            _ => Verdict::Failed,
        }
    }

    /// Takes the response's head as the plugin left it.
    pub(crate) fn take_response_head(&mut self) -> Verdict<ResponseHead> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Response(head) if !self.broken => Verdict::Continue(head),
            _ => Verdict::Failed,
        }
    }

    /// Takes the plugin's verdict about the request. It can be taken once.
    pub(crate) fn take_request_verdict(&mut self) -> Option<Verdict<RequestHead>> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::RequestDecided(verdict) => {
                if matches!(verdict, Verdict::Continue(_)) {
                    self.phase = Phase::Passing;
                }
                Some(verdict)
            }
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Takes the plugin's verdict about the response. It can be taken once.
    pub(crate) fn take_response_verdict(&mut self) -> Option<Verdict<ResponseHead>> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::ResponseDecided(verdict) => {
                if let Verdict::Continue(head) = &verdict {
                    self.status = Some(head.status);
                    self.phase = Phase::Passing;
                }
                Some(verdict)
            }
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Records the plugin's own reply for the properties of its log callback.
    pub(crate) fn note_reply(&mut self, reply: &LocalReply) {
        self.status = Some(reply.status);
        self.details = Some(reply.details.clone());
    }

    /// Returns the value that the plugin attached under this name.
    pub(crate) fn property(&self, name: &[u8]) -> Option<&[u8]> {
        self.properties.values.get(name).map(Vec::as_slice)
    }

    /// Attaches a value, or returns `false` when the stream's values would be too large.
    pub(crate) fn set_property(&mut self, name: &[u8], value: &[u8]) -> bool {
        let properties = &mut self.properties;
        let old = properties
            .values
            .get(name)
            .map_or(0, |old| name.len() + old.len());
        let bytes = properties.bytes - old + name.len() + value.len();
        if bytes > PROPERTIES_LIMIT {
            return false;
        }
        properties.bytes = bytes;
        properties.values.insert(name.to_vec(), value.to_vec());
        true
    }

    /// Wakes the waiting task.
    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The values that the plugin attached to a stream.
#[derive(Default)]
struct AttachedProperties {
    values: HashMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

/// All streams of an instance, by context number.
#[derive(Default)]
pub(crate) struct Contexts {
    streams: FxHashMap<u32, StreamContext>,
    last: u32,
    touched: Vec<u32>,
}

impl Contexts {
    /// Adds a stream under an unused number and returns the number.
    pub(crate) fn open(&mut self, stream: StreamContext) -> u32 {
        loop {
            self.last = self.last.wrapping_add(1).max(ROOT + 1);
            if !self.streams.contains_key(&self.last) {
                self.streams.insert(self.last, stream);
                return self.last;
            }
        }
    }

    /// Removes a stream.
    pub(crate) fn close(&mut self, id: u32) {
        self.streams.remove(&id);
    }

    /// Returns the stream of that number.
    pub(crate) fn find(&self, id: u32) -> Option<&StreamContext> {
        self.streams.get(&id)
    }

    /// Returns the stream of that number.
    pub(crate) fn find_mut(&mut self, id: u32) -> Option<&mut StreamContext> {
        self.streams.get_mut(&id)
    }

    /// Records that an action was requested for a stream. Consecutive requests for the same stream are recorded once.
    pub(crate) fn touch(&mut self, id: u32) {
        if self.touched.last() != Some(&id) {
            self.touched.push(id);
        }
    }

    /// Takes a stream for which an action was requested.
    pub(crate) fn take_touched(&mut self) -> Option<u32> {
        self.touched.pop()
    }

    /// Wakes the waiting tasks of all streams.
    pub(crate) fn wake_all(&mut self) {
        self.streams.values_mut().for_each(StreamContext::wake);
    }
}
