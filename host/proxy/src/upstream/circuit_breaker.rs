//! Limits the requests that one route sends to its upstreams, in all workers together: connections and pending requests as
//! in Envoy, and a share of both for each client. A further limit on the requests of all routes keeps descriptors free for
//! other routes and other clients.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use jetway_core::limits::{UPSTREAM_CONNECTIONS, UPSTREAM_PENDING};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::client_requests::{ClientRequest, ClientRequests};
use crate::limits::{self, ClientNetwork, Hit};

/// The reason why a request is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Overflow {
    /// The route has the maximum of pending requests.
    #[error("too many pending requests on the route")]
    Pending,
    /// The request was pending for [`limits::CONNECT`].
    #[error("all upstream connections of the route were in use for too long")]
    Connections,
    /// The client has its share of the route's requests.
    #[error("too many requests of this client on the route")]
    Share,
    /// The client has its share of the requests of all routes.
    #[error("too many requests of this client")]
    TotalShare,
}

/// Limits of one route.
#[derive(Clone, Copy, Debug)]
struct Thresholds {
    connections: u32,
    pending: u32,
}

/// The requests of one route, and their limits.
pub(crate) struct CircuitBreaker {
    thresholds: Thresholds,
    route: String,
    connections: Arc<Semaphore>,
    pending: Mutex<u32>,
    by_client: Arc<ClientRequests>,
    /// The requests of all routes.
    all_by_client: Arc<ClientRequests>,
}

/// Permits one request. The request counts until the permit is dropped.
pub(crate) struct RequestPermit {
    _client: [ClientRequest; 2],
    _connection: OwnedSemaphorePermit,
}

/// A request that counts as pending.
struct PendingRequest<'a>(&'a CircuitBreaker);

impl CircuitBreaker {
    fn new(route: &str, thresholds: Thresholds, all_by_client: Arc<ClientRequests>) -> Arc<Self> {
        Arc::new(Self {
            thresholds,
            route: route.to_owned(),
            connections: Arc::new(Semaphore::new(thresholds.connections as usize)),
            pending: Mutex::default(),
            by_client: ClientRequests::new(thresholds.connections),
            all_by_client,
        })
    }

    /// Acquires a permit for a request of this client, and waits for a free connection if there is none.
    ///
    /// # Errors
    /// A limit is exceeded.
    pub(crate) async fn acquire(&self, client: IpAddr) -> Result<RequestPermit, Overflow> {
        let client = self.count_client(ClientNetwork::containing(client))?;
        let free = Arc::clone(&self.connections);
        let connection = match Arc::clone(&free).try_acquire_owned() {
            Ok(connection) => connection,
            Err(_) => {
                Hit::UpstreamConnections.record(format_args!("route {}", self.route));
                let _pending = self.count_pending()?;
                let acquired = timeout(limits::CONNECT, free.acquire_owned()).await;
                acquired
                    .ok()
                    .and_then(Result::ok)
                    .ok_or(Overflow::Connections)?
            }
        };
        Ok(RequestPermit {
            _client: client,
            _connection: connection,
        })
    }

    fn count_client(&self, client: ClientNetwork) -> Result<[ClientRequest; 2], Overflow> {
        let Some(on_route) = self.by_client.count(client) else {
            Hit::UpstreamShare.record(format_args!("client {client}, route {}", self.route));
            return Err(Overflow::Share);
        };
        let Some(in_all) = self.all_by_client.count(client) else {
            Hit::UpstreamTotalShare.record(format_args!("client {client}, route {}", self.route));
            return Err(Overflow::TotalShare);
        };
        Ok([on_route, in_all])
    }

    fn count_pending(&self) -> Result<PendingRequest<'_>, Overflow> {
        let mut pending = self.pending();
        if *pending >= self.thresholds.pending {
            drop(pending);
            Hit::UpstreamPending.record(format_args!("route {}", self.route));
            return Err(Overflow::Pending);
        }
        *pending += 1;
        Ok(PendingRequest(self))
    }

    /// Locks the count. No code panics while it holds the lock, so that the count is valid even if the lock is poisoned.
    fn pending(&self) -> MutexGuard<'_, u32> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        let mut pending = self.0.pending();
        *pending = pending.saturating_sub(1);
    }
}

/// The circuit breakers of all routes, by route id. The breaker of a route survives a reload that keeps the route, because
/// its requests do.
pub(crate) struct CircuitBreakers {
    thresholds: Thresholds,
    by_route: Mutex<HashMap<String, Weak<CircuitBreaker>>>,
    /// The requests of all routes.
    by_client: Arc<ClientRequests>,
}

impl CircuitBreakers {
    /// Creates breakers for routes that share `upstream_connections`. One route may use half of them, and one client half of
    /// them on all routes together, so that neither a slow upstream nor a client can use up all.
    pub(crate) fn new(upstream_connections: u32) -> Self {
        Self {
            thresholds: Thresholds {
                connections: UPSTREAM_CONNECTIONS.min((upstream_connections / 2).max(1)),
                pending: UPSTREAM_PENDING,
            },
            by_route: Mutex::default(),
            by_client: ClientRequests::new(upstream_connections),
        }
    }

    /// Returns the breaker of the route with this id, and creates it at its first use; `name` is the route's name in logs.
    pub(super) fn get_or_create(&self, id: &str, name: &str) -> Arc<CircuitBreaker> {
        let mut breakers = self.by_route.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = breakers.get(id).and_then(Weak::upgrade) {
            return breaker;
        }
        breakers.retain(|_, breaker| breaker.strong_count() > 0);
        let breaker = CircuitBreaker::new(name, self.thresholds, Arc::clone(&self.by_client));
        breakers.insert(id.to_owned(), Arc::downgrade(&breaker));
        breaker
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use tokio::time::Instant;

    fn breaker(connections: u32, pending: u32) -> Arc<CircuitBreaker> {
        let thresholds = Thresholds {
            connections,
            pending,
        };
        CircuitBreaker::new("a route", thresholds, ClientRequests::new(1_000))
    }

    fn client(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn excess_requests_are_pending_and_more_are_refused() {
        let breaker = breaker(4, 2);
        let mut permits = Vec::new();
        for number in 0..4 {
            permits.push(breaker.acquire(client(number)).await.unwrap());
        }
        let mut first = Box::pin(breaker.acquire(client(4)));
        let mut second = Box::pin(breaker.acquire(client(5)));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        let hits = Hit::UpstreamPending.count();
        let refused = breaker.acquire(client(6)).await;
        assert_eq!(refused.err(), Some(Overflow::Pending));
        assert!(Hit::UpstreamPending.count() > hits);
        permits.pop();
        assert!(
            first.await.is_ok(),
            "a pending request gets a freed connection"
        );
        drop(second);
        drop(permits);
        assert_eq!((*breaker.pending(), breaker.by_client.clients()), (0, 0));
        assert_eq!(breaker.all_by_client.clients(), 0);
        assert_eq!(breaker.connections.available_permits(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_pending_for_a_limited_time() {
        let breaker = breaker(2, 2);
        let _permits = [
            breaker.acquire(client(1)).await,
            breaker.acquire(client(2)).await,
        ];
        let began = Instant::now();
        let refused = breaker.acquire(client(3)).await;
        assert_eq!(refused.err(), Some(Overflow::Connections));
        assert_eq!(began.elapsed(), limits::CONNECT);
        assert_eq!(*breaker.pending(), 0);
    }

    #[tokio::test]
    async fn one_client_gets_half_and_other_clients_get_the_rest() {
        let breaker = breaker(10, 10);
        let mut permits = Vec::new();
        for _ in 0..5 {
            permits.push(breaker.acquire(client(1)).await.unwrap());
        }
        let refused = breaker.acquire(client(1)).await;
        assert_eq!(refused.err(), Some(Overflow::Share));
        assert!(breaker.acquire(client(2)).await.is_ok());
        permits.pop();
        assert!(breaker.acquire(client(1)).await.is_ok());
    }

    /// With few descriptors, the limits of routes and clients follow from them.
    #[tokio::test]
    async fn one_client_gets_half_of_all_descriptors_and_one_route_too() {
        let breakers = CircuitBreakers::new(12);
        let routes = ["1", "2", "3"].map(|id| breakers.get_or_create(id, id));
        let mut permits = Vec::new();
        for route in &routes[..2] {
            for _ in 0..3 {
                permits.push(route.acquire(client(1)).await.unwrap());
            }
            let refused = route.acquire(client(1)).await;
            assert_eq!(refused.err(), Some(Overflow::Share));
        }
        let hits = Hit::UpstreamTotalShare.count();
        let refused = routes[2].acquire(client(1)).await;
        assert_eq!(refused.err(), Some(Overflow::TotalShare));
        assert!(Hit::UpstreamTotalShare.count() > hits);
        assert_eq!(routes[2].by_client.clients(), 0, "a refusal counts nowhere");
        assert_eq!(routes[2].connections.available_permits(), 6);
        assert!(routes[2].acquire(client(2)).await.is_ok());
        drop(permits);
        assert!(routes[2].acquire(client(1)).await.is_ok());
        assert_eq!(breakers.by_client.clients(), 0);
    }

    #[test]
    fn many_descriptors_leave_the_limits_of_a_route_as_in_envoy() {
        let breaker = CircuitBreakers::new(u32::MAX).get_or_create("1", "one");
        assert_eq!(breaker.thresholds.connections, UPSTREAM_CONNECTIONS);
    }

    #[test]
    fn a_route_keeps_its_breaker_while_it_is_in_use() {
        let breakers = CircuitBreakers::new(1_000);
        let one = breakers.get_or_create("1", "one");
        assert!(Arc::ptr_eq(&one, &breakers.get_or_create("1", "one")));
        assert!(!Arc::ptr_eq(&one, &breakers.get_or_create("2", "two")));
        drop(one);
        let _another = breakers.get_or_create("3", "three");
        assert_eq!(
            breakers.by_route.lock().unwrap().len(),
            1,
            "unused breakers are dropped"
        );
    }
}
