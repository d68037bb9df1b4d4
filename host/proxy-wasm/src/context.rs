//! The plugin's contexts on the host's side: one for each request, from its head to its log line.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::task::Waker;

use http::StatusCode;

use crate::request_body::RequestBuffer;
use crate::{LocalReply, RequestHead, ResponseHead, StreamFacts, Verdict};

/// Context number of the plugin itself. Streams count on from here.
pub(crate) const ROOT: u32 = 1;

/// Most bytes of names and values that a plugin may attach to one stream with `proxy_set_property`.
const PROPERTIES_LIMIT: usize = 64 * 1024;

/// How far a stream is. A head is here exactly while the plugin may read and edit it.
pub(crate) enum Phase {
    /// The plugin looks at the request's head, or keeps it paused.
    Request(RequestHead),
    /// The plugin decided about the request; the proxy has not yet fetched the verdict.
    RequestDecided(Verdict<RequestHead>),
    /// No head is held: the request is with the upstream, or the response is on its way to the client.
    Passing,
    /// The plugin looks at a response's head, or keeps it paused.
    Response(ResponseHead),
    /// The plugin decided about the response; the proxy has not yet fetched the verdict.
    ResponseDecided(Verdict<ResponseHead>),
    /// Nothing is left to decide.
    Over,
}

/// What the plugin asked for during a callback; done after the callback has returned.
#[derive(Default)]
pub(crate) struct PendingActions {
    /// Continue the paused head.
    pub resume: bool,
    /// Reset the stream.
    pub close: bool,
    /// Answer the client. The first one in a callback counts.
    pub reply: Option<LocalReply>,
}

/// One request's context.
pub(crate) struct StreamContext {
    /// Facts that are not in the head.
    pub facts: StreamFacts,
    /// How far it is.
    pub phase: Phase,
    /// What the plugin asked for in the current callback.
    pub pending: PendingActions,
    /// The plugin left the current head without a valid value where one is needed: it must not be sent.
    pub broken: bool,
    /// The plugin reset the stream after its request was forwarded.
    pub closed: bool,
    /// What the plugin keeps back of the request's body (buffer 0).
    pub body: RequestBuffer,
    /// Whether the plugin looks at request bodies at all.
    pub reads_body: bool,
    /// HTTP calls under way that were made in this context.
    pub calls: u32,
    /// Status code of the response, once known (property `response.code`).
    pub status: Option<StatusCode>,
    /// The plugin's reason for its own reply (property `response.code_details`).
    pub details: Option<String>,
    /// The task that waits for a decision or for the end.
    pub waker: Option<Waker>,
    properties: AttachedProperties,
}

impl StreamContext {
    /// A context in which the plugin is about to see the request's head.
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

    /// The request's head as the plugin left it.
    pub(crate) fn take_request_head(&mut self) -> Verdict<RequestHead> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Request(head) if !self.broken => Verdict::Continue(head),
            _ => Verdict::Failed,
        }
    }

    /// The response's head as the plugin left it.
    pub(crate) fn take_response_head(&mut self) -> Verdict<ResponseHead> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Response(head) if !self.broken => Verdict::Continue(head),
            _ => Verdict::Failed,
        }
    }

    /// What the plugin decided about the request, once.
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

    /// What the plugin decided about the response, once.
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

    /// Remembers what the plugin answered, for its log.
    pub(crate) fn note_reply(&mut self, reply: &LocalReply) {
        self.status = Some(reply.status);
        self.details = Some(reply.details.clone());
    }

    /// What the plugin attached under this name.
    pub(crate) fn property(&self, name: &[u8]) -> Option<&[u8]> {
        self.properties.values.get(name).map(Vec::as_slice)
    }

    /// Attaches a value. `false` when that is too much.
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

/// What the plugin attached to a stream.
#[derive(Default)]
struct AttachedProperties {
    values: HashMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

/// All streams of an instance, by context number.
#[derive(Default)]
pub(crate) struct Contexts {
    streams: HashMap<u32, StreamContext, BuildHasherDefault<NumberHasher>>,
    last: u32,
    touched: Vec<u32>,
}

impl Contexts {
    /// Adds a stream under a number that no other has.
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

    /// The stream of that number.
    pub(crate) fn find(&self, id: u32) -> Option<&StreamContext> {
        self.streams.get(&id)
    }

    /// The stream of that number.
    pub(crate) fn find_mut(&mut self, id: u32) -> Option<&mut StreamContext> {
        self.streams.get_mut(&id)
    }

    /// Remembers that something was asked for a stream. Most often for the same one, which is then remembered once.
    pub(crate) fn touch(&mut self, id: u32) {
        if self.touched.last() != Some(&id) {
            self.touched.push(id);
        }
    }

    /// A stream for which something was asked.
    pub(crate) fn take_touched(&mut self) -> Option<u32> {
        self.touched.pop()
    }

    /// Wakes the waiting tasks of all streams.
    pub(crate) fn wake_all(&mut self) {
        self.streams.values_mut().for_each(StreamContext::wake);
    }
}

/// Hashes one small number: context numbers are in sequence, so that no client can make them collide.
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        // Fibonacci hashing: 2^64 divided by the golden ratio spreads a sequence over the high and the low bits.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
