//! How many requests the upstreams of one route get at once, in all workers together: as many connections and waiting
//! requests as in Envoy, and a share of both for each client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use jetway_core::capacity::{UPSTREAM_CONNECTIONS, UPSTREAM_PENDING};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits::{self, Hit, Network, share_of_one};

/// Why a request is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Overflow {
    /// As many as may do so wait already.
    #[error("too many requests wait for the route's upstreams")]
    Pending,
    /// It has waited for long enough.
    #[error("all connections to the route's upstreams were in use for too long")]
    Connections,
    /// Its client has as many requests under way as one client may have.
    #[error("the client has too many requests under way to the route's upstreams")]
    Share,
}

/// How much may be under way.
#[derive(Clone, Copy, Debug)]
struct Thresholds {
    connections: u32,
    pending: u32,
}

/// What is under way to the upstreams of one route.
pub(crate) struct Breaker {
    thresholds: Thresholds,
    route: String,
    connections: Arc<Semaphore>,
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    pending: u32,
    /// Only clients with a request under way are here, so that the limits of those bound it.
    by_client: HashMap<Network, u32>,
}

/// A request that may be sent. It is under way until this is dropped.
pub(crate) struct Place {
    _counted: Counted,
    _connection: OwnedSemaphorePermit,
}

/// A request in the share of its client.
struct Counted {
    breaker: Arc<Breaker>,
    client: Network,
}

/// A request that waits.
struct Waiting<'a>(&'a Breaker);

impl Breaker {
    fn new(route: &str, thresholds: Thresholds) -> Arc<Self> {
        Arc::new(Self {
            thresholds,
            route: route.to_owned(),
            connections: Arc::new(Semaphore::new(thresholds.connections as usize)),
            under_way: Mutex::default(),
        })
    }

    /// Waits until a request of this client may be sent.
    ///
    /// # Errors
    /// It may not; the log has it, too.
    pub(crate) async fn admit(self: &Arc<Self>, client: IpAddr) -> Result<Place, Overflow> {
        let counted = self.count(Network::of(client))?;
        let connections = Arc::clone(&self.connections);
        let connection = match Arc::clone(&connections).try_acquire_owned() {
            Ok(connection) => connection,
            Err(_) => {
                Hit::UpstreamConnections.note(&self.route);
                let _waiting = self.wait()?;
                let acquired = timeout(limits::CONNECT, connections.acquire_owned()).await;
                acquired
                    .ok()
                    .and_then(Result::ok)
                    .ok_or(Overflow::Connections)?
            }
        };
        Ok(Place {
            _counted: counted,
            _connection: connection,
        })
    }

    fn count(self: &Arc<Self>, client: Network) -> Result<Counted, Overflow> {
        let mut under_way = self.under_way();
        let has = under_way.by_client.entry(client).or_default();
        if *has >= share_of_one(self.thresholds.connections) {
            drop(under_way);
            Hit::UpstreamShare.note(format_args!("{client} at {}", self.route));
            return Err(Overflow::Share);
        }
        *has += 1;
        Ok(Counted {
            breaker: Arc::clone(self),
            client,
        })
    }

    fn wait(&self) -> Result<Waiting<'_>, Overflow> {
        let mut under_way = self.under_way();
        if under_way.pending >= self.thresholds.pending {
            drop(under_way);
            Hit::UpstreamPending.note(&self.route);
            return Err(Overflow::Pending);
        }
        under_way.pending += 1;
        Ok(Waiting(self))
    }

    /// Nothing in here panics while it is locked.
    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut under_way = self.breaker.under_way();
        let left = under_way.by_client.get(&self.client).copied();
        let left = left.unwrap_or_default().saturating_sub(1);
        if left == 0 {
            under_way.by_client.remove(&self.client);
        } else {
            under_way.by_client.insert(self.client, left);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut under_way = self.0.under_way();
        under_way.pending = under_way.pending.saturating_sub(1);
    }
}

/// The breakers of all routes. Those of a route outlive a change of the configuration that keeps the route, because what is
/// under way does, too.
#[derive(Default)]
pub(crate) struct Breakers(Mutex<HashMap<String, Weak<Breaker>>>);

impl Breakers {
    /// That of the route with this id; `name` is what the log calls the route.
    pub(super) fn of(&self, id: &str, name: &str) -> Arc<Breaker> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = all.get(id).and_then(Weak::upgrade) {
            return breaker;
        }
        all.retain(|_, breaker| breaker.strong_count() > 0);
        let breaker = Breaker::new(
            name,
            Thresholds {
                connections: UPSTREAM_CONNECTIONS,
                pending: UPSTREAM_PENDING,
            },
        );
        all.insert(id.to_owned(), Arc::downgrade(&breaker));
        breaker
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use tokio::time::Instant;

    fn breaker(connections: u32, pending: u32) -> Arc<Breaker> {
        Breaker::new(
            "a route",
            Thresholds {
                connections,
                pending,
            },
        )
    }

    fn client(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_much_waits_and_what_is_more_is_refused() {
        let breaker = breaker(4, 2);
        let mut places = Vec::new();
        for number in 0..4 {
            places.push(breaker.admit(client(number)).await.unwrap());
        }
        let mut first = Box::pin(breaker.admit(client(4)));
        let mut second = Box::pin(breaker.admit(client(5)));
        assert!(
            first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none()
        );
        let refused = Hit::UpstreamPending.count();
        assert_eq!(
            breaker.admit(client(6)).await.err(),
            Some(Overflow::Pending)
        );
        assert!(Hit::UpstreamPending.count() > refused);
        places.pop();
        assert!(first.await.is_ok(), "who waits gets what is given back");
        drop(second);
        drop(places);
        let under_way = breaker.under_way();
        assert_eq!((under_way.pending, under_way.by_client.len()), (0, 0));
        assert_eq!(breaker.connections.available_permits(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let breaker = breaker(2, 2);
        let _places = [
            breaker.admit(client(1)).await,
            breaker.admit(client(2)).await,
        ];
        let began = Instant::now();
        assert_eq!(
            breaker.admit(client(3)).await.err(),
            Some(Overflow::Connections)
        );
        assert_eq!(began.elapsed(), limits::CONNECT);
        assert_eq!(breaker.under_way().pending, 0);
    }

    #[tokio::test]
    async fn one_client_gets_half_and_others_the_rest() {
        let breaker = breaker(10, 10);
        let mut places = Vec::new();
        for _ in 0..5 {
            places.push(breaker.admit(client(1)).await.unwrap());
        }
        assert_eq!(breaker.admit(client(1)).await.err(), Some(Overflow::Share));
        assert!(breaker.admit(client(2)).await.is_ok());
        places.pop();
        assert!(breaker.admit(client(1)).await.is_ok());
    }

    #[test]
    fn a_route_keeps_its_breaker_as_long_as_something_uses_it() {
        let all = Breakers::default();
        let one = all.of("1", "one");
        assert!(Arc::ptr_eq(&one, &all.of("1", "one")));
        assert!(!Arc::ptr_eq(&one, &all.of("2", "two")));
        drop(one);
        let _another = all.of("3", "three");
        assert_eq!(all.0.lock().unwrap().len(), 1, "nothing is kept of others");
    }
}
