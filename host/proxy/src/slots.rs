//! Slots for client connections: a fixed number for the whole process, and a share of them for each client address. Under
//! pressure, idle connections are evicted: connections without a session first, then the one that is idle for the longest
//! time.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::limits::{self, ClientNetwork, Hit, client_share};

/// All slots of a process, shared by its workers.
pub(crate) struct ConnectionSlots {
    limit: usize,
    /// Slots that one client address may use.
    share: u32,
    table: Mutex<SlotTable>,
    /// Notified when a slot is freed.
    freed: Notify,
    started: Instant,
    /// Whether a request has ended since the last scan, so that the next one may find more.
    has_newly_idle: AtomicBool,
}

/// The slots in use.
struct SlotTable {
    next_id: u64,
    connections: HashMap<u64, Arc<ConnectionState>>,
    /// Contains only clients with a connection, so that it is never larger than `connections`.
    by_client: HashMap<ClientNetwork, u32>,
    /// Connections that are evicted and idle, so that they are about to end. A connection with a request in progress may
    /// last as long as the request.
    evicting: HashSet<u64>,
    /// The table is not scanned for idle connections before this time.
    next_scan: Option<Instant>,
}

/// The state of a connection that all workers see.
#[derive(Default)]
struct ConnectionState {
    /// Requests in progress and tunnels.
    requests: AtomicU32,
    has_session: AtomicBool,
    /// When the last request ended, in nanoseconds since the start.
    idle_since: AtomicU64,
    is_evicted: AtomicBool,
    evicted: Notify,
}

/// The reason why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotRefusal {
    /// The client has its share.
    Share,
    /// All slots are in use. The new connection may wait until this time; `None` means that no slot is about to become
    /// free.
    Full(Option<Instant>),
}

/// A slot in use. Dropping it frees the slot.
pub(crate) struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    id: u64,
    state: Arc<ConnectionState>,
    /// The client whose share it counts in.
    client: Cell<Option<ClientNetwork>>,
    /// Shows the worker when its last connection has ended.
    _worker: OwnedSemaphorePermit,
}

impl ConnectionSlots {
    /// Creates this many free slots.
    pub(crate) fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self {
            limit: limit as usize,
            share: client_share(limit),
            table: Mutex::new(SlotTable {
                next_id: 0,
                connections: HashMap::new(),
                by_client: HashMap::new(),
                evicting: HashSet::new(),
                next_scan: None,
            }),
            freed: Notify::new(),
            started: Instant::now(),
            has_newly_idle: AtomicBool::new(false),
        })
    }

    /// Returns the number of connections and the most there may be.
    pub(crate) fn usage(&self) -> (u64, u64) {
        (self.table().connections.len() as u64, self.limit as u64)
    }

    /// Acquires a slot for a new connection; `client` is the address to count it for, if that is known already. `None`
    /// means that the connection is refused, and the hit is recorded. `worker` is dropped together with the slot.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        worker: OwnedSemaphorePermit,
    ) -> Option<ConnectionSlot> {
        let client = client.map(ClientNetwork::containing);
        let deadline = Instant::now() + limits::SLOT_WAIT;
        let (id, state) = loop {
            let freed = self.freed.notified();
            match self.try_acquire(client) {
                Ok(acquired) => break acquired,
                Err(SlotRefusal::Share) => {
                    self.record_share_hit(client);
                    return None;
                }
                Err(SlotRefusal::Full(until)) => {
                    let Some(until) = until.filter(|_| Instant::now() < deadline) else {
                        Hit::ClientConnections.record(format_args!("limit {}", self.limit));
                        return None;
                    };
                    // The next attempt shows whether a slot was freed.
                    let _ = timeout_at(until.min(deadline), freed).await;
                }
            }
        };
        Some(ConnectionSlot {
            slots: Arc::clone(self),
            id,
            state,
            client: Cell::new(client),
            _worker: worker,
        })
    }

    /// Evicts some idle connections, because descriptors are needed.
    pub(crate) fn evict_idle(&self) {
        self.evict(&mut self.table());
    }

    fn try_acquire(
        &self,
        client: Option<ClientNetwork>,
    ) -> Result<(u64, Arc<ConnectionState>), SlotRefusal> {
        let mut table = self.table();
        if client.is_some_and(|client| table.count_of(client) >= self.share) {
            return Err(SlotRefusal::Share);
        }
        let reserve = (self.limit / limits::FREE_SLOTS_DIVISOR).max(1);
        let used = table.connections.len();
        if used >= self.limit || used - table.evicting.len() + reserve >= self.limit {
            self.evict(&mut table);
        }
        if used >= self.limit {
            return Err(SlotRefusal::Full(self.wait_until(&table)));
        }
        let state = Arc::new(ConnectionState::default());
        state.idle_since.store(self.now(), Ordering::Relaxed);
        let id = table.next_id;
        table.next_id += 1;
        table.connections.insert(id, Arc::clone(&state));
        if let Some(client) = client {
            table.increment(client);
        }
        Ok((id, state))
    }

    /// Returns until when a new connection may wait for a slot while all are in use: until an evicted connection ends, or
    /// until the next scan if that may find a connection to evict.
    fn wait_until(&self, table: &SlotTable) -> Option<Instant> {
        let next_scan = table.next_scan.filter(|at| Instant::now() < *at);
        if self.has_newly_idle.load(Ordering::Relaxed) && next_scan.is_some() {
            return next_scan;
        }
        (!table.evicting.is_empty()).then(|| Instant::now() + limits::SLOT_WAIT)
    }

    /// Evicts a batch of idle connections in the order of [`ConnectionState::eviction_rank`].
    fn evict(&self, table: &mut SlotTable) {
        let now = Instant::now();
        if table.next_scan.is_some_and(|at| now < at) {
            return;
        }
        self.has_newly_idle.store(false, Ordering::Relaxed);
        let batch = (self.limit / limits::EVICTION_BATCH_DIVISOR).max(1);
        let mut idle: Vec<_> = table
            .connections
            .iter()
            .filter_map(|(id, state)| Some((state.eviction_rank()?, *id)))
            .collect();
        if idle.len() > batch {
            idle.select_nth_unstable(batch - 1);
            idle.truncate(batch);
        } else {
            table.next_scan = now.checked_add(limits::EVICTION_SCAN_INTERVAL);
        }
        for (_, id) in idle {
            if let Some(state) = table.connections.get(&id) {
                // In this order, so that a request that begins now is seen here or sees the eviction: see `begin_request`.
                state.is_evicted.store(true, Ordering::SeqCst);
                if state.requests.load(Ordering::SeqCst) == 0 {
                    table.evicting.insert(id);
                }
                state.evicted.notify_one();
                Hit::IdleEviction.record(format_args!("limit {}", self.limit));
            }
        }
    }

    fn record_share_hit(&self, client: Option<ClientNetwork>) {
        if let Some(client) = client {
            Hit::ClientShare.record(format_args!("client {client}, limit {}", self.share));
        }
    }

    /// Returns the nanoseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Locks the table. No code panics while it holds the lock, so that the table is valid even if the lock is poisoned.
    fn table(&self) -> MutexGuard<'_, SlotTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SlotTable {
    fn count_of(&self, client: ClientNetwork) -> u32 {
        self.by_client.get(&client).copied().unwrap_or_default()
    }

    fn increment(&mut self, client: ClientNetwork) {
        *self.by_client.entry(client).or_default() += 1;
    }

    fn decrement(&mut self, client: ClientNetwork) {
        let left = self.count_of(client).saturating_sub(1);
        if left == 0 {
            self.by_client.remove(&client);
        } else {
            self.by_client.insert(client, left);
        }
    }
}

impl ConnectionState {
    /// Returns the order of eviction, the lowest first: whether the connection has a session, and since when it is idle.
    /// `None` for connections with a request in progress, and for those that are evicted already.
    fn eviction_rank(&self) -> Option<(bool, u64)> {
        if self.requests.load(Ordering::Relaxed) > 0 || self.is_evicted.load(Ordering::Relaxed) {
            return None;
        }
        let has_session = self.has_session.load(Ordering::Relaxed);
        Some((has_session, self.idle_since.load(Ordering::Relaxed)))
    }
}

impl ConnectionSlot {
    /// Counts the slot for a client whose address is known only now. Returns `false` when the client has its share.
    pub(crate) fn assign_client(&self, client: IpAddr) -> bool {
        let client = ClientNetwork::containing(client);
        if self.client.get() == Some(client) {
            return true;
        }
        let mut table = self.slots.table();
        if table.count_of(client) >= self.slots.share {
            drop(table);
            self.slots.record_share_hit(Some(client));
            return false;
        }
        table.increment(client);
        if let Some(previous) = self.client.replace(Some(client)) {
            table.decrement(previous);
        }
        true
    }

    /// Records that a request begins.
    pub(crate) fn begin_request(&self) {
        self.state.requests.fetch_add(1, Ordering::SeqCst);
        // The connection ends only after the request, so that no other connection has to wait for it.
        if self.state.is_evicted.load(Ordering::SeqCst) {
            self.slots.table().evicting.remove(&self.id);
        }
    }

    /// Records that a request has ended.
    pub(crate) fn end_request(&self) {
        let now = self.slots.now();
        self.state.idle_since.store(now, Ordering::Relaxed);
        if self.state.requests.fetch_sub(1, Ordering::SeqCst) > 1 {
            return;
        }
        self.slots.has_newly_idle.store(true, Ordering::Relaxed);
        if self.state.is_evicted.load(Ordering::SeqCst) {
            self.slots.table().evicting.insert(self.id);
        }
    }

    /// Records that a client with a session uses the connection.
    pub(crate) fn mark_session(&self) {
        self.state.has_session.store(true, Ordering::Relaxed);
    }

    /// Returns whether a request is in progress.
    pub(crate) fn is_busy(&self) -> bool {
        self.state.requests.load(Ordering::Relaxed) > 0
    }

    /// Returns when the last request ended, or when the connection began.
    pub(crate) fn idle_since(&self) -> Instant {
        let since = self.state.idle_since.load(Ordering::Relaxed);
        self.slots.started + Duration::from_nanos(since)
    }

    /// Completes when the connection is evicted and has to end as soon as it is idle. Cancel safe.
    pub(crate) async fn evicted(&self) {
        while !self.state.is_evicted.load(Ordering::Relaxed) {
            self.state.evicted.notified().await;
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut table = self.slots.table();
        table.connections.remove(&self.id);
        table.evicting.remove(&self.id);
        if let Some(client) = self.client.get() {
            table.decrement(client);
        }
        drop(table);
        self.slots.freed.notify_waiters();
    }
}
