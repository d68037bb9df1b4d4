//! A client's connection from the perspective of its requests, and when it has to end.

mod deadline;
mod framing;
mod read_observer;
mod stream;

pub(crate) use deadline::with_moving_deadline;
pub(crate) use framing::{Framing, HeadFinder};
pub(crate) use read_observer::{ReadFlag, ReadObserver};
pub(crate) use stream::StreamExecutor;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::body::{Patience, Progress};
use crate::limits;
use crate::slots::ConnectionSlot;
use crate::wasm::ConnectionFacts;

/// A client's connection from the perspective of its requests.
pub(crate) struct Client {
    /// The facts that the plugin can read.
    pub(crate) facts: Rc<ConnectionFacts>,
    /// How long it is kept without a request (`timeout_idle`); `None` is without limit.
    idle_timeout: Option<Duration>,
    /// Shows when bytes are read from an HTTP/1 connection.
    was_read: ReadFlag,
    /// Shows which of its requests has two lengths, or might have them.
    framing: Framing,
    /// How many requests began.
    begun: Cell<u64>,
    /// How many requests are in progress.
    in_progress: Cell<u32>,
    /// When the head of the next HTTP/1 request began to arrive.
    head_began: Cell<Option<Instant>>,
    /// The response that an HTTP/1 connection sends.
    response: ResponseWatch,
    /// Its slot, which counts the requests that protect it from eviction. It is freed when the connection, and the tunnel
    /// that it became, have ended.
    slot: ConnectionSlot,
}

/// The response that is being sent, if its progress is watched.
#[derive(Clone, Default)]
struct ResponseWatch(Rc<RefCell<Option<Rc<Progress>>>>);

impl ResponseWatch {
    /// Returns when the response will have taken too long; `None` is never.
    fn due(&self) -> Option<Instant> {
        self.0.borrow().as_ref()?.due()
    }

    /// Watches a response.
    fn set(&self, response: &Rc<Progress>) {
        self.0.replace(Some(Rc::clone(response)));
    }

    fn clear(&self) {
        self.0.take();
    }
}

/// A request in progress. While there is one, the connection is not idle.
pub(crate) struct ActiveRequest {
    client: Rc<Client>,
    problem: Option<&'static str>,
    /// Whether it protects the connection from eviction.
    is_protecting: bool,
}

impl ActiveRequest {
    /// Returns what is wrong with the bytes of the request that the HTTP library does not show: two lengths of the body, or a
    /// `#` in the target.
    pub(crate) const fn problem(&self) -> Option<&'static str> {
        self.problem
    }

    /// Records that the proxy or the plugin responds, not the upstream. Every client that reads gets such a response at once,
    /// so that the request no longer protects the connection from eviction. The connection (HTTP/1.1) or the stream (HTTP/2)
    /// ends when the client does not begin to read the response within [`limits::LOCAL_RESPONSE`].
    pub(crate) fn respond_locally(&mut self) {
        if std::mem::take(&mut self.is_protecting) {
            self.client.slot.end_request();
        }
        let patience = Patience {
            idle: Some(limits::LOCAL_RESPONSE),
            response: None,
        };
        self.client
            .watch_response(&Rc::new(Progress::new(patience)));
    }
}

impl Client {
    /// Begins a connection without requests. An idle timeout of zero is none, as in Envoy. `was_read` and `framing` observe an
    /// HTTP/1 connection.
    pub(crate) fn new(
        facts: ConnectionFacts,
        idle_timeout: Duration,
        (was_read, framing): (ReadFlag, Framing),
        slot: ConnectionSlot,
    ) -> Rc<Self> {
        Rc::new(Self {
            facts: Rc::new(facts),
            idle_timeout: (!idle_timeout.is_zero()).then_some(idle_timeout),
            was_read,
            framing,
            begun: Cell::new(0),
            in_progress: Cell::new(0),
            head_began: Cell::new(None),
            response: ResponseWatch::default(),
            slot,
        })
    }

    /// Records that a request begins.
    pub(crate) fn begin_request(self: &Rc<Self>) -> ActiveRequest {
        self.slot.begin_request();
        self.in_progress
            .set(self.in_progress.get().saturating_add(1));
        self.head_began.set(None);
        let number = self.begun.replace(self.begun.get().saturating_add(1));
        ActiveRequest {
            client: Rc::clone(self),
            problem: self.framing.find_problem(number),
            is_protecting: true,
        }
    }

    /// Records that a client with a session uses the connection, so that it is evicted later than others. The plugin does not
    /// report sessions: a permitted request on a route with an identity criterion is the sign of one.
    pub(crate) fn mark_session(&self) {
        self.slot.mark_session();
    }

    /// Completes when the connection is evicted and has to end as soon as it is idle. Cancel safe.
    pub(crate) async fn evicted(&self) {
        self.slot.evicted().await;
    }

    /// Ends the connection (HTTP/1.1) or the stream (HTTP/2) when this response takes too long, either because the upstream
    /// is silent or because the client does not read.
    pub(crate) fn watch_response(&self, response: &Rc<Progress>) {
        if !stream::watch_response(response) {
            self.response.set(response);
        }
    }

    /// Records that an HTTP/1 connection becomes a tunnel.
    pub(crate) fn become_tunnel(&self) {
        self.framing.end();
    }

    /// Returns whether a request began, now or earlier.
    pub(crate) fn has_requests(&self) -> bool {
        self.begun.get() > 0
    }

    /// Returns whether a request is in progress.
    pub(crate) fn is_busy(&self) -> bool {
        self.in_progress.get() > 0
    }

    /// Returns whether a request is in progress whose response comes from the upstream.
    pub(crate) fn is_protected(&self) -> bool {
        self.slot.is_busy()
    }

    /// Returns when the response that an HTTP/1 connection sends will have taken too long; `None` is never.
    pub(crate) fn response_due(&self) -> Option<Instant> {
        self.response.due()
    }

    /// Returns when the connection has to end if nothing happens; `None` is never.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.is_busy() {
            // Bytes that are read now belong to the request in progress. Requests of HTTP/2 end in tasks of their own, which do
            // not wake this one, so that it checks again after the idle timeout.
            self.was_read.take();
            return self
                .response
                .due()
                .or_else(|| Instant::now().checked_add(self.idle_timeout?));
        }
        if self.was_read.take() && self.head_began.get().is_none() {
            self.head_began.set(Some(Instant::now()));
        }
        match self.head_began.get() {
            Some(began) => began.checked_add(limits::REQUEST_HEAD),
            None => self.slot.idle_since().checked_add(self.idle_timeout?),
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let client = &self.client;
        client
            .in_progress
            .set(client.in_progress.get().saturating_sub(1));
        if self.is_protecting {
            client.slot.end_request();
        }
        client.response.clear();
        client.was_read.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;
    use tokio::time::{advance, sleep};

    const IDLE: Duration = Duration::from_secs(300);

    async fn client(idle: Duration) -> (Rc<Client>, ReadObserver<&'static [u8]>) {
        let facts = ConnectionFacts {
            id: 1,
            peer: "127.0.0.1:1".parse().unwrap(),
            destination: "127.0.0.1:2".parse().unwrap(),
            tls: None,
        };
        let was_read = ReadFlag::default();
        let finder = HeadFinder::default();
        let connection = ReadObserver::new(was_read.clone(), finder, b"GET / HTTP/1.1".as_slice());
        let requests = (was_read, Framing::default());
        let slot = ConnectionSlot::for_test().await;
        (Client::new(facts, idle, requests, slot), connection)
    }

    fn time_left(client: &Client) -> Option<Duration> {
        Some(client.due()?.duration_since(Instant::now()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_requests_is_kept_for_the_idle_time() {
        let (client, _) = client(IDLE).await;
        sleep(IDLE / 3).await;
        assert_eq!(time_left(&client), Some(IDLE / 3 * 2));
        drop(client.begin_request());
        assert_eq!(time_left(&client), Some(IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn no_idle_time_is_for_ever() {
        let (client, mut connection) = client(Duration::ZERO).await;
        assert_eq!(time_left(&client), None);
        let active = client.begin_request();
        assert_eq!(time_left(&client), None);
        drop(active);
        connection.read_u8().await.unwrap();
        assert_eq!(time_left(&client), Some(limits::REQUEST_HEAD));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_from_its_first_byte_on() {
        let (client, mut connection) = client(IDLE).await;
        sleep(IDLE / 2).await;
        connection.read_u8().await.unwrap();
        assert_eq!(time_left(&client), Some(limits::REQUEST_HEAD));
        advance(Duration::from_secs(7)).await;
        connection.read_u8().await.unwrap();
        assert_eq!(
            time_left(&client),
            Some(limits::REQUEST_HEAD - Duration::from_secs(7))
        );
        // Bytes that arrive during a request belong to it.
        let active = client.begin_request();
        connection.read_u8().await.unwrap();
        drop(active);
        assert_eq!(time_left(&client), Some(IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_connection_is_due_when_its_response_is() {
        let (client, _) = client(IDLE).await;
        let active = client.begin_request();
        assert!(client.is_busy());
        assert_eq!(
            time_left(&client),
            Some(IDLE),
            "nothing to wait for: look again"
        );
        let response = Rc::new(Progress::new(Patience {
            idle: Some(Duration::from_secs(9)),
            response: None,
        }));
        client.watch_response(&response);
        assert_eq!(time_left(&client), Some(Duration::from_secs(9)));
        assert_eq!(client.response_due(), client.due());
        drop(active);
        assert!(!client.is_busy());
        assert_eq!(client.response_due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_of_the_proxy_is_due_soon_and_protects_nothing() {
        let (client, _) = client(Duration::ZERO).await;
        let mut active = client.begin_request();
        assert!(client.is_protected());
        active.respond_locally();
        assert!(client.is_busy() && !client.is_protected());
        assert_eq!(time_left(&client), Some(limits::LOCAL_RESPONSE));
        let other = client.begin_request();
        drop(active);
        assert!(client.is_busy() && client.is_protected(), "counted once");
        drop(other);
        assert!(!client.is_busy() && !client.is_protected());
    }
}
