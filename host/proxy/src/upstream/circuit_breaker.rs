//! Limits the requests that one route sends to its upstreams, in all workers together: connections and pending requests as in
//! Envoy, and a share of both for each client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use jetway_core::capacity::{UPSTREAM_CONNECTIONS, UPSTREAM_PENDING};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits::{self, ClientNetwork, Hit, client_share};

/// Why a request is not sent.
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
    requests: Mutex<RequestCounts>,
}

#[derive(Default)]
struct RequestCounts {
    pending: u32,
    /// Contains only clients with a request, so that it is never larger than the limits allow.
    by_client: HashMap<ClientNetwork, u32>,
}

/// Allows one request. The request counts until this is dropped.
pub(crate) struct RequestPermit {
    _client: ClientRequest,
    _connection: OwnedSemaphorePermit,
}

/// A request that counts for its client.
struct ClientRequest {
    breaker: Arc<CircuitBreaker>,
    client: ClientNetwork,
}

/// A request that counts as pending.
struct PendingRequest<'a>(&'a CircuitBreaker);

impl CircuitBreaker {
    fn new(route: &str, thresholds: Thresholds) -> Arc<Self> {
        Arc::new(Self {
            thresholds,
            route: route.to_owned(),
            connections: Arc::new(Semaphore::new(thresholds.connections as usize)),
            requests: Mutex::default(),
        })
    }

    /// Acquires a permit for a request of this client, and waits for a free connection if there is none.
    ///
    /// # Errors
    /// A limit is exceeded.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        client: IpAddr,
    ) -> Result<RequestPermit, Overflow> {
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

    fn count_client(self: &Arc<Self>, client: ClientNetwork) -> Result<ClientRequest, Overflow> {
        let mut requests = self.requests();
        let count = requests.by_client.entry(client).or_default();
        if *count >= client_share(self.thresholds.connections) {
            drop(requests);
            Hit::UpstreamShare.record(format_args!("client {client}, route {}", self.route));
            return Err(Overflow::Share);
        }
        *count += 1;
        Ok(ClientRequest {
            breaker: Arc::clone(self),
            client,
        })
    }

    fn count_pending(&self) -> Result<PendingRequest<'_>, Overflow> {
        let mut requests = self.requests();
        if requests.pending >= self.thresholds.pending {
            drop(requests);
            Hit::UpstreamPending.record(format_args!("route {}", self.route));
            return Err(Overflow::Pending);
        }
        requests.pending += 1;
        Ok(PendingRequest(self))
    }

    /// No code panics while it holds the lock, so that the counts are valid even if the lock is poisoned.
    fn requests(&self) -> MutexGuard<'_, RequestCounts> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ClientRequest {
    fn drop(&mut self) {
        let mut requests = self.breaker.requests();
        let count = requests.by_client.get(&self.client).copied();
        let left = count.unwrap_or_default().saturating_sub(1);
        if left == 0 {
            requests.by_client.remove(&self.client);
        } else {
            requests.by_client.insert(self.client, left);
        }
    }
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        let mut requests = self.0.requests();
        requests.pending = requests.pending.saturating_sub(1);
    }
}

/// The circuit breakers of all routes, by route id. The breaker of a route survives a reload that keeps the route, because
/// its requests do.
#[derive(Default)]
pub(crate) struct CircuitBreakers(Mutex<HashMap<String, Weak<CircuitBreaker>>>);

impl CircuitBreakers {
    /// Returns the breaker of the route with this id, and creates it at first; `name` is the route's name in logs.
    pub(super) fn get_or_create(&self, id: &str, name: &str) -> Arc<CircuitBreaker> {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = breakers.get(id).and_then(Weak::upgrade) {
            return breaker;
        }
        breakers.retain(|_, breaker| breaker.strong_count() > 0);
        let thresholds = Thresholds {
            connections: UPSTREAM_CONNECTIONS,
            pending: UPSTREAM_PENDING,
        };
        let breaker = CircuitBreaker::new(name, thresholds);
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
        CircuitBreaker::new("a route", thresholds)
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
        let requests = breaker.requests();
        assert_eq!((requests.pending, requests.by_client.len()), (0, 0));
        assert_eq!(breaker.connections.available_permits(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_not_pending_for_ever() {
        let breaker = breaker(2, 2);
        let _permits = [
            breaker.acquire(client(1)).await,
            breaker.acquire(client(2)).await,
        ];
        let began = Instant::now();
        let refused = breaker.acquire(client(3)).await;
        assert_eq!(refused.err(), Some(Overflow::Connections));
        assert_eq!(began.elapsed(), limits::CONNECT);
        assert_eq!(breaker.requests().pending, 0);
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

    #[test]
    fn a_route_keeps_its_breaker_while_it_is_in_use() {
        let breakers = CircuitBreakers::default();
        let one = breakers.get_or_create("1", "one");
        assert!(Arc::ptr_eq(&one, &breakers.get_or_create("1", "one")));
        assert!(!Arc::ptr_eq(&one, &breakers.get_or_create("2", "two")));
        drop(one);
        let _another = breakers.get_or_create("3", "three");
        assert_eq!(
            breakers.0.lock().unwrap().len(),
            1,
            "unused breakers are dropped"
        );
    }
}
