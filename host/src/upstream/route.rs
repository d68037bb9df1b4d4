//! Routes as the proxy needs them: from an id to an upstream. Which route a request takes is the plugin's decision.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use http::HeaderValue;
use jetway_core::config::{Route, Upstream};

use super::{Connector, Pool};
use crate::tls::{Roots, Trust};

/// All routes by [`Route::id`].
pub(crate) struct Routes {
    by_id: HashMap<String, Rc<Destination>>,
    pools: Vec<Rc<Pool>>,
}

/// Where one route's requests go, and how.
pub(crate) struct Destination {
    id: String,
    name: String,
    pool: Rc<Pool>,
    authority: HeaderValue,
    /// Whether the upstream sees the public host name.
    pub(crate) preserve_host_header: bool,
    /// Whether websockets may pass.
    pub(crate) allow_websockets: bool,
    /// How long the upstream may take to begin its answer.
    pub(crate) timeout: Option<Duration>,
}

impl Routes {
    /// Prepares every upstream; routes with the same one share its connections.
    ///
    /// # Errors
    /// An upstream whose certificate authorities cannot be read.
    pub(crate) fn new(routes: &[Route], roots: &Roots) -> anyhow::Result<Self> {
        let mut pools: Vec<(&Upstream, Rc<Pool>)> = Vec::new();
        let mut by_id = HashMap::with_capacity(routes.len());
        for route in routes {
            let pool = match pools
                .iter()
                .find(|(upstream, _)| **upstream == route.upstream)
            {
                Some((_, pool)) => Rc::clone(pool),
                None => {
                    let connector =
                        Connector::new(&route.upstream.origin, &trust(&route.upstream), roots)
                            .with_context(|| {
                                format!("cannot use the upstream of route `{}`", route.name)
                            })?;
                    let pool = Pool::new(connector);
                    pools.push((&route.upstream, Rc::clone(&pool)));
                    pool
                }
            };
            by_id.insert(route.id.clone(), Rc::new(Destination::new(route, pool)?));
        }
        Ok(Self {
            by_id,
            pools: pools.into_iter().map(|(_, pool)| pool).collect(),
        })
    }

    /// The route of that id.
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

impl Destination {
    fn new(route: &Route, pool: Rc<Pool>) -> anyhow::Result<Self> {
        let authority =
            HeaderValue::from_str(&route.upstream.origin.authority()).with_context(|| {
                format!(
                    "the upstream of route `{}` cannot stand in a Host header",
                    route.name
                )
            })?;
        Ok(Self {
            id: route.id.clone(),
            name: route.name.clone(),
            pool,
            authority,
            preserve_host_header: route.preserve_host_header,
            allow_websockets: route.allow_websockets,
            timeout: route.timeout,
        })
    }

    /// The route's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The route's name, for logs.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Connections to the upstream.
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    /// The upstream's own `Host`.
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

fn trust(upstream: &Upstream) -> Trust {
    match &upstream.tls_custom_ca_file {
        _ if upstream.tls_skip_verify => Trust::Anyone,
        Some(path) => Trust::File(path.clone()),
        None => Trust::System,
    }
}
