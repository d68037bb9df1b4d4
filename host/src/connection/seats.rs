//! The places of clients' connections: so many for the whole process, and a share of them for each address. When places run
//! short, idle connections are closed: those first on which nobody has shown a session, and among equals the one that has
//! been idle for longest.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::limits::{self, Hit, Network, share_of_one};

/// All places, shared by the workers.
pub(crate) struct Seats {
    all: usize,
    /// How many one address may have.
    share: u32,
    taken: Mutex<Taken>,
    /// A place was given back.
    freed: Notify,
    began: Instant,
}

/// Who has the places.
struct Taken {
    next: u64,
    sitters: HashMap<u64, Arc<Sitter>>,
    /// Only addresses with a place are here, so that this is no larger than `sitters`.
    by_client: HashMap<Network, u32>,
    /// How many of them were asked to leave and have not left.
    leaving: usize,
    /// Until then it is of no use to look for idle ones.
    all_busy_until: Option<Instant>,
}

/// A connection, as all workers know it.
#[derive(Default)]
struct Sitter {
    /// Requests in progress, and tunnels.
    requests: AtomicU32,
    is_known: AtomicBool,
    /// Since when there are none, in nanoseconds after the beginning.
    idle_since: AtomicU64,
    is_asked: AtomicBool,
    asked: Notify,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// The address has its share.
    Share,
    /// All are taken; this many have been asked for theirs.
    Full(usize),
}

/// A place. Dropping it gives it back.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    sitter: Arc<Sitter>,
    /// Whose share it is counted in.
    client: Cell<Option<Network>>,
    /// By which a worker knows that connections are left.
    _worker: OwnedSemaphorePermit,
}

impl Seats {
    /// So many.
    pub(crate) fn new(all: u32) -> Arc<Self> {
        Arc::new(Self {
            all: all as usize,
            share: share_of_one(all),
            taken: Mutex::new(Taken {
                next: 0,
                sitters: HashMap::new(),
                by_client: HashMap::new(),
                leaving: 0,
                all_busy_until: None,
            }),
            freed: Notify::new(),
            began: Instant::now(),
        })
    }

    /// A place for a connection, in the share of this client if it is known already. `None` refuses it; the log has why.
    /// `worker` is given back together with the place.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        worker: OwnedSemaphorePermit,
    ) -> Option<Seat> {
        let client = client.map(Network::of);
        let patience = Instant::now() + limits::PLACE;
        let (number, sitter) = loop {
            let freed = self.freed.notified();
            match self.sit(client) {
                Ok(taken) => break taken,
                Err(Refused::Share) => {
                    self.note_share(client);
                    return None;
                }
                Err(Refused::Full(leaving)) => {
                    if leaving == 0 || timeout_at(patience, freed).await.is_err() {
                        Hit::Clients.note(format_args!("{} places", self.all));
                        return None;
                    }
                }
            }
        };
        Some(Seat {
            seats: Arc::clone(self),
            number,
            sitter,
            client: Cell::new(client),
            _worker: worker,
        })
    }

    /// Closes some idle connections, because descriptors are needed.
    pub(crate) fn relieve(&self) {
        let mut taken = self.taken();
        self.evict(&mut taken);
    }

    fn sit(&self, client: Option<Network>) -> Result<(u64, Arc<Sitter>), Refused> {
        let mut taken = self.taken();
        if client.is_some_and(|client| taken.has(client) >= self.share) {
            return Err(Refused::Share);
        }
        let room = (self.all / limits::ROOM as usize).max(1);
        if taken.sitters.len() - taken.leaving + room >= self.all {
            self.evict(&mut taken);
        }
        if taken.sitters.len() >= self.all {
            return Err(Refused::Full(taken.leaving));
        }
        let sitter = Arc::new(Sitter::default());
        sitter.idle_since.store(self.clock(), Ordering::Relaxed);
        let number = taken.next;
        taken.next += 1;
        taken.sitters.insert(number, Arc::clone(&sitter));
        if let Some(client) = client {
            taken.count(client);
        }
        Ok((number, sitter))
    }

    /// Asks some idle connections to leave, those first that are missed least.
    fn evict(&self, taken: &mut Taken) {
        let now = Instant::now();
        if taken.all_busy_until.is_some_and(|until| now < until) {
            return;
        }
        let wanted = (self.all / limits::EVICTED_AT_ONCE as usize).max(1);
        let idle = taken.sitters.iter();
        let mut idle: Vec<_> = idle
            .filter_map(|(number, sitter)| Some((sitter.rank()?, *number)))
            .collect();
        if idle.len() > wanted {
            idle.select_nth_unstable(wanted - 1);
            idle.truncate(wanted);
        } else {
            taken.all_busy_until = now.checked_add(limits::EVICTION_PAUSE);
        }
        for (_, number) in &idle {
            if let Some(sitter) = taken.sitters.get(number) {
                sitter.is_asked.store(true, Ordering::Relaxed);
                sitter.asked.notify_one();
                Hit::IdleClients.note(format_args!("{} places", self.all));
            }
        }
        taken.leaving += idle.len();
    }

    fn note_share(&self, client: Option<Network>) {
        if let Some(client) = client {
            Hit::ClientShare.note(format_args!("{client} has {} places", self.share));
        }
    }

    /// Nanoseconds since the beginning.
    fn clock(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Nothing in here panics while it is locked.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn has(&self, client: Network) -> u32 {
        self.by_client.get(&client).copied().unwrap_or_default()
    }

    fn count(&mut self, client: Network) {
        *self.by_client.entry(client).or_default() += 1;
    }

    fn discount(&mut self, client: Network) {
        let left = self.has(client).saturating_sub(1);
        if left == 0 {
            self.by_client.remove(&client);
        } else {
            self.by_client.insert(client, left);
        }
    }
}

impl Sitter {
    /// How much it is missed when it leaves; `None` when it may stay, or was asked already.
    fn rank(&self) -> Option<(bool, u64)> {
        let stays =
            self.requests.load(Ordering::Relaxed) > 0 || self.is_asked.load(Ordering::Relaxed);
        (!stays).then(|| {
            (
                self.is_known.load(Ordering::Relaxed),
                self.idle_since.load(Ordering::Relaxed),
            )
        })
    }
}

impl Seat {
    /// Counts the place in the share of a client that is known only now; `false` when it has its share already.
    pub(super) fn claim(&self, client: IpAddr) -> bool {
        let client = Network::of(client);
        if self.client.get() == Some(client) {
            return true;
        }
        let mut taken = self.seats.taken();
        if taken.has(client) >= self.seats.share {
            drop(taken);
            self.seats.note_share(Some(client));
            return false;
        }
        taken.count(client);
        if let Some(before) = self.client.replace(Some(client)) {
            taken.discount(before);
        }
        true
    }

    /// Notes that a request begins.
    pub(super) fn begin(&self) {
        self.sitter.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a request has ended.
    pub(super) fn end(&self) {
        let now = self.seats.clock();
        self.sitter.idle_since.store(now, Ordering::Relaxed);
        self.sitter.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that somebody with a session uses the connection.
    pub(super) fn know(&self) {
        self.sitter.is_known.store(true, Ordering::Relaxed);
    }

    /// Whether a request is in progress.
    pub(super) fn is_busy(&self) -> bool {
        self.sitter.requests.load(Ordering::Relaxed) > 0
    }

    /// When the last request ended, or the connection began.
    pub(super) fn idle_since(&self) -> Instant {
        let since = self.sitter.idle_since.load(Ordering::Relaxed);
        self.seats.began + Duration::from_nanos(since)
    }

    /// Completes when the connection has to make room, as soon as it is idle. Cancel safe.
    pub(super) async fn asked(&self) {
        while !self.sitter.is_asked.load(Ordering::Relaxed) {
            self.sitter.asked.notified().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.sitters.remove(&self.number);
        if self.sitter.is_asked.load(Ordering::Relaxed) {
            taken.leaving = taken.leaving.saturating_sub(1);
        }
        if let Some(client) = self.client.get() {
            taken.discount(client);
        }
        drop(taken);
        self.seats.freed.notify_waiters();
    }
}
