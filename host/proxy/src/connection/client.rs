//! A client's connection as its requests see it, and when it has to end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::framing::Framing;
use super::heard::Ear;
use super::slots::ConnectionSlot;
use super::stream;
use crate::body::{Patience, Progress};
use crate::limits;
use crate::wasm::ConnectionFacts;

/// A client's connection as its requests see it.
pub(crate) struct Client {
    /// What the plugin may ask about it.
    pub(crate) facts: Rc<ConnectionFacts>,
    /// How long it is kept without a request (`timeout_idle`); `None` is for ever.
    idle_timeout: Option<Duration>,
    /// Hears what is read from an HTTP/1 connection.
    ear: Ear,
    /// Which of its requests has two lengths, or might have them.
    framing: Framing,
    /// How many requests began.
    begun: Cell<u64>,
    /// How many requests are in progress.
    in_progress: Cell<u32>,
    /// When the head of the next HTTP/1 request began to arrive.
    head: Cell<Option<Instant>>,
    /// The answer that an HTTP/1 connection is busy with.
    answer: Watch,
    /// Its slot, which counts the requests that protect it from eviction. Freed when the connection and the tunnel that it became have ended.
    slot: ConnectionSlot,
}

/// The answer that is being sent, and may come to a standstill.
#[derive(Clone, Default)]
pub(super) struct Watch(Rc<RefCell<Option<Rc<Progress>>>>);

impl Watch {
    /// When it will have taken too long; `None` is never.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.borrow().as_ref()?.due()
    }

    /// Watches this one.
    pub(super) fn set(&self, answer: &Rc<Progress>) {
        self.0.replace(Some(Rc::clone(answer)));
    }

    fn clear(&self) {
        self.0.take();
    }
}

/// A request in progress: while there is one, the connection is not idle.
pub(crate) struct Active {
    client: Rc<Client>,
    is_ambiguous: bool,
    /// Whether it protects the connection from eviction.
    protects: bool,
}

impl Active {
    /// Whether the request tells two lengths of its body, or follows one whose end cannot be told. The HTTP library shows
    /// one length.
    pub(crate) const fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }

    /// Records that the answer is the proxy's own. Every client that reads gets it at once, so that it no longer protects the
    /// connection from eviction, and the connection (HTTP/1.1) or the stream (HTTP/2) ends when the client does not begin to
    /// read it within [`limits::LOCAL_ANSWER`].
    pub(crate) fn answer_locally(&mut self) {
        if std::mem::take(&mut self.protects) {
            self.client.slot.end_request();
        }
        let patience = Patience {
            idle: Some(limits::LOCAL_ANSWER),
            answer: None,
        };
        self.client.watch(&Rc::new(Progress::new(patience)));
    }
}

impl Client {
    /// A connection without requests yet. An idle timeout of zero is none, as in Envoy.
    pub(super) fn new(
        facts: ConnectionFacts,
        idle_timeout: Duration,
        (ear, framing): (Ear, Framing),
        slot: ConnectionSlot,
    ) -> Rc<Self> {
        Rc::new(Self {
            facts: Rc::new(facts),
            idle_timeout: (!idle_timeout.is_zero()).then_some(idle_timeout),
            ear,
            framing,
            begun: Cell::new(0),
            in_progress: Cell::new(0),
            head: Cell::new(None),
            answer: Watch::default(),
            slot,
        })
    }

    /// Notes that a request began.
    pub(crate) fn begin(self: &Rc<Self>) -> Active {
        self.slot.begin_request();
        self.in_progress
            .set(self.in_progress.get().saturating_add(1));
        self.head.set(None);
        let number = self.begun.replace(self.begun.get().saturating_add(1));
        Active {
            client: Rc::clone(self),
            is_ambiguous: self.framing.is_ambiguous(number),
            protects: true,
        }
    }

    /// Records that a client with a session uses the connection, so that it is evicted later than others. The plugin does not
    /// report sessions: a permitted request on a route with an identity criterion is the sign of one.
    pub(crate) fn mark_session(&self) {
        self.slot.mark_session();
    }

    /// Completes when the connection is evicted and has to end as soon as it is idle. Cancel safe.
    pub(super) async fn evicted(&self) {
        self.slot.evicted().await;
    }

    /// Ends the connection (HTTP/1.1) or the stream (HTTP/2) when this answer takes too long, be it that the upstream
    /// falls silent or that the client does not read.
    pub(crate) fn watch(&self, answer: &Rc<Progress>) {
        if !stream::watch(answer) {
            self.answer.set(answer);
        }
    }

    /// Notes that an HTTP/1 connection becomes a tunnel.
    pub(crate) fn end_http(&self) {
        self.framing.end();
    }

    /// Whether a request is in progress.
    pub(super) fn is_busy(&self) -> bool {
        self.in_progress.get() > 0
    }

    /// Returns whether a request is in progress whose answer is not the proxy's own.
    pub(super) fn is_protected(&self) -> bool {
        self.slot.is_busy()
    }

    /// When the answer that an HTTP/1 connection is busy with will have taken too long; `None` is never.
    pub(super) fn answer_due(&self) -> Option<Instant> {
        self.answer.due()
    }

    /// When the connection has to end if nothing happens; `None` is never.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.is_busy() {
            // What is read now belongs to the request in progress. Requests of HTTP/2 end in tasks of their own, so that
            // the end of the last has to be looked for.
            self.ear.take();
            return self
                .answer
                .due()
                .or_else(|| Instant::now().checked_add(self.idle_timeout?));
        }
        if self.ear.take() && self.head.get().is_none() {
            self.head.set(Some(Instant::now()));
        }
        match self.head.get() {
            Some(head) => head.checked_add(limits::REQUEST_HEAD),
            None => self.slot.idle_since().checked_add(self.idle_timeout?),
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let client = &self.client;
        client
            .in_progress
            .set(client.in_progress.get().saturating_sub(1));
        if self.protects {
            client.slot.end_request();
        }
        client.answer.clear();
        client.ear.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::framing::Heads;
    use crate::connection::heard::Heard;
    use tokio::io::AsyncReadExt as _;
    use tokio::time::{advance, sleep};

    const IDLE: Duration = Duration::from_secs(300);

    async fn client(idle: Duration) -> (Rc<Client>, Heard<&'static [u8]>) {
        let facts = ConnectionFacts {
            id: 1,
            peer: "127.0.0.1:1".parse().unwrap(),
            destination: "127.0.0.1:2".parse().unwrap(),
            tls: None,
        };
        let ear = Ear::default();
        let heard = Heard::by(ear.clone(), Heads::default(), b"GET / HTTP/1.1".as_slice());
        let requests = (ear, Framing::default());
        let slot = ConnectionSlot::for_test().await;
        (Client::new(facts, idle, requests, slot), heard)
    }

    fn left(client: &Client) -> Option<Duration> {
        Some(client.due()?.duration_since(Instant::now()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_requests_is_kept_for_the_idle_time() {
        let (client, _) = client(IDLE).await;
        sleep(IDLE / 3).await;
        assert_eq!(left(&client), Some(IDLE / 3 * 2));
        drop(client.begin());
        assert_eq!(left(&client), Some(IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn no_idle_time_is_for_ever() {
        let (client, mut heard) = client(Duration::ZERO).await;
        assert_eq!(left(&client), None);
        let active = client.begin();
        assert_eq!(left(&client), None);
        drop(active);
        heard.read_u8().await.unwrap();
        assert_eq!(left(&client), Some(limits::REQUEST_HEAD));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_from_its_first_byte_on() {
        let (client, mut heard) = client(IDLE).await;
        sleep(IDLE / 2).await;
        heard.read_u8().await.unwrap();
        assert_eq!(left(&client), Some(limits::REQUEST_HEAD));
        advance(Duration::from_secs(7)).await;
        heard.read_u8().await.unwrap();
        assert_eq!(
            left(&client),
            Some(limits::REQUEST_HEAD - Duration::from_secs(7))
        );
        // What comes during a request belongs to it.
        let active = client.begin();
        heard.read_u8().await.unwrap();
        drop(active);
        assert_eq!(left(&client), Some(IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_connection_is_due_when_its_answer_is() {
        let (client, _) = client(IDLE).await;
        let active = client.begin();
        assert!(client.is_busy());
        assert_eq!(left(&client), Some(IDLE), "nothing to wait for: look again");
        let answer = Rc::new(Progress::new(Patience {
            idle: Some(Duration::from_secs(9)),
            answer: None,
        }));
        client.watch(&answer);
        assert_eq!(left(&client), Some(Duration::from_secs(9)));
        assert_eq!(client.answer_due(), client.due());
        drop(active);
        assert!(!client.is_busy());
        assert_eq!(client.answer_due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_the_proxy_is_due_soon_and_protects_nothing() {
        let (client, _) = client(Duration::ZERO).await;
        let mut active = client.begin();
        assert!(client.is_protected());
        active.answer_locally();
        assert!(client.is_busy() && !client.is_protected());
        assert_eq!(left(&client), Some(limits::LOCAL_ANSWER));
        let other = client.begin();
        drop(active);
        assert!(client.is_busy() && client.is_protected(), "counted once");
        drop(other);
        assert!(!client.is_busy() && !client.is_protected());
    }
}
