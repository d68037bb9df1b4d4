//! Maps the id of a route to its upstreams. Which route a request takes is the plugin's decision.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context as _;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use jetway_core::config::{HostHeader, Origin, Route, UpstreamTls, Upstreams};
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::balance::Balance;
use super::circuit_breaker::{CircuitBreaker, CircuitBreakers};
use super::descriptor_limit::DescriptorLimit;
use super::{Connector, Lease, Pool, SendFault};
use crate::body::{Patience, RequestBody};
use crate::metrics::{Metrics, RouteMetrics};
use crate::tls::Roots;

/// Limits of upstream connections and requests that all workers share.
pub(crate) struct UpstreamLimits {
    /// Descriptors of upstream connections.
    pub(crate) descriptors: DescriptorLimit,
    /// Requests of each route.
    pub(crate) breakers: CircuitBreakers,
    /// The counters of the process.
    pub(crate) metrics: Arc<Metrics>,
}

/// All routes that lead to upstreams, by [`Route::id`]. The plugin answers the requests of the others.
pub(crate) struct Routes {
    by_id: FxHashMap<String, Rc<Destination>>,
    pub(super) pools: Vec<Rc<Pool>>,
}

/// The upstreams of one route, and how its requests are sent.
pub(crate) struct Destination {
    id: String,
    name: String,
    upstreams: Balance<Upstream>,
    breaker: Arc<CircuitBreaker>,
    /// This worker's counters of the route.
    pub(crate) metrics: Arc<RouteMetrics>,
    /// Whether the policy has an identity criterion, so that a permitted request usually has a session.
    pub(crate) asks_for_identity: bool,
    /// Whether the upstream sees its own name as `Host`, instead of the host that the plugin set.
    pub(crate) names_upstream: bool,
    /// Whether WebSockets are permitted.
    pub(crate) allow_websockets: bool,
    /// The limits on how long a request and its response may take.
    pub(crate) patience: Patience,
}

/// One upstream of a route.
pub(crate) struct Upstream {
    pool: Rc<Pool>,
    authority: HeaderValue,
}

impl Routes {
    /// Prepares every upstream. Routes with the same upstream share its connections, if their TLS settings are equal.
    ///
    /// # Errors
    /// A setting that an upstream cannot be reached with; the message names the route.
    pub(crate) fn new(
        routes: &[Route],
        roots: &Roots,
        limits: &UpstreamLimits,
    ) -> anyhow::Result<Self> {
        let mut pools = Pools::new(roots, limits);
        let mut by_id = FxHashMap::with_capacity_and_hasher(routes.len(), FxBuildHasher);
        for route in routes {
            if let Some(upstreams) = route.target.upstreams() {
                let destination = Destination::new(route, upstreams, &mut pools)
                    .with_context(|| format!("cannot use the route `{}`", route.name))?;
                by_id.insert(route.id.clone(), Rc::new(destination));
            }
        }
        Ok(Self {
            by_id,
            pools: pools.all,
        })
    }

    /// Returns the route with that id.
    pub(crate) fn find(&self, id: &HeaderValue) -> Option<&Rc<Destination>> {
        self.by_id.get(id.to_str().ok()?)
    }

    /// Closes idle connections that are past their age.
    pub(crate) fn sweep(&self) {
        for pool in &self.pools {
            pool.sweep();
        }
    }
}

/// The pools that exist so far.
struct Pools<'a> {
    roots: &'a Roots,
    limits: &'a UpstreamLimits,
    by_origin: HashMap<&'a Origin, Vec<(&'a UpstreamTls, Rc<Pool>)>>,
    all: Vec<Rc<Pool>>,
}

impl<'a> Pools<'a> {
    fn new(roots: &'a Roots, limits: &'a UpstreamLimits) -> Self {
        Self {
            roots,
            limits,
            by_origin: HashMap::new(),
            all: Vec::new(),
        }
    }

    /// Returns the pool of an upstream, which is created at its first use.
    fn get_or_create(
        &mut self,
        origin: &'a Origin,
        tls: &'a UpstreamTls,
    ) -> anyhow::Result<Rc<Pool>> {
        let pools = self.by_origin.entry(origin).or_default();
        // Without TLS, its settings do not matter.
        let same = pools.iter().find(|(other, _)| !origin.tls || *other == tls);
        if let Some((_, pool)) = same {
            return Ok(Rc::clone(pool));
        }
        let connector = Connector::upstream(origin, tls, self.roots)
            .with_context(|| format!("cannot prepare TLS to {origin}"))?;
        let pool = Pool::new(connector, self.limits.descriptors.clone());
        pools.push((tls, Rc::clone(&pool)));
        self.all.push(Rc::clone(&pool));
        Ok(pool)
    }
}

impl Destination {
    fn new<'a>(
        route: &Route,
        upstreams: &'a Upstreams,
        pools: &mut Pools<'a>,
    ) -> anyhow::Result<Self> {
        let members = upstreams.endpoints.iter().map(|endpoint| {
            let upstream = Upstream {
                pool: pools.get_or_create(&endpoint.origin, &upstreams.tls)?,
                authority: HeaderValue::from_str(&endpoint.origin.authority())
                    .with_context(|| format!("{} cannot be a Host header", endpoint.origin))?,
            };
            Ok((upstream, endpoint.weight))
        });
        Ok(Self {
            id: route.id.clone(),
            name: route.name.clone(),
            upstreams: Balance::new(members.collect::<anyhow::Result<Vec<_>>>()?),
            breaker: pools.limits.breakers.get_or_create(&route.id, &route.name),
            metrics: pools.limits.metrics.add_route(&route.name),
            asks_for_identity: route.policy.asks_for_identity() || route.cockpit.is_some(),
            names_upstream: matches!(route.host, HostHeader::Upstream),
            allow_websockets: route.allow_websockets,
            patience: Patience {
                idle: route.idle_timeout,
                response: route.timeout,
            },
        })
    }

    /// Returns the route's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns the route's name, for logs.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sends a client's request to one of the route's upstreams, within the limits of the route.
    ///
    /// # Errors
    /// A limit is exceeded, or there is no response.
    pub(crate) async fn send(
        &self,
        upstream: &Upstream,
        request: Request<RequestBody>,
        client: IpAddr,
    ) -> Result<(Response<Incoming>, Lease), SendFault> {
        self.limit(client, upstream.pool.send(request)).await
    }

    /// Sends a request as [`Destination::send`] does, on a connection that no other request uses, for upgrades. The caller
    /// holds the lease until the upgraded connection has ended.
    ///
    /// # Errors
    /// A limit is exceeded, or there is no response.
    pub(crate) async fn send_apart(
        &self,
        upstream: &Upstream,
        request: Request<RequestBody>,
        client: IpAddr,
    ) -> Result<(Response<Incoming>, Lease), SendFault> {
        self.limit(client, upstream.pool.send_apart(request)).await
    }

    /// Sends a request when the limits of the route permit it.
    async fn limit(
        &self,
        client: IpAddr,
        sending: impl Future<Output = Result<(Response<Incoming>, Lease), SendFault>>,
    ) -> Result<(Response<Incoming>, Lease), SendFault> {
        let permit = self.breaker.acquire(client).await?;
        let (response, lease) = sending.await?;
        Ok((response, lease.with_permit(permit)))
    }

    /// Returns the upstream whose turn it is.
    pub(crate) fn choose(&self) -> Option<&Upstream> {
        self.upstreams.next()
    }
}

impl Upstream {
    /// Returns the `Host` of the upstream itself.
    pub(crate) fn authority(&self) -> &HeaderValue {
        &self.authority
    }
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Destination")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
