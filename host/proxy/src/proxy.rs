//! One worker's own copy of everything that a request needs. Nothing in it is shared between threads.

mod generations;
mod plugin_config;
mod process_facts;
mod readings;
mod settings;
mod shared;
mod shared_limits;

pub(crate) use generations::Generations;
pub use process_facts::ProcessFacts;
pub use settings::Settings;
pub(crate) use shared::ProxyShared;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jetway_core::http::forwarded::TrustedProxies;
use jetway_core::http::page::Theme;
use tokio_rustls::TlsAcceptor;

use crate::callouts::Providers;
use crate::metrics::WorkerMetrics;
use crate::module_log::ModuleLog;
use crate::request_id::RequestIds;
use crate::shutdown::Shutdown;
use crate::slots::ConnectionSlots;
use crate::tls::Roots;
use crate::upstream::{DescriptorLimit, Routes};
use crate::wasm;

/// The proxy of one worker, under one configuration.
pub(crate) struct Proxy {
    /// The plugin instance that decides.
    pub(crate) plugin: Rc<wasm::Plugin>,
    /// The routes that lead to upstreams.
    pub(crate) routes: Routes,
    /// The descriptors of upstream connections.
    pub(crate) upstream_descriptors: DescriptorLimit,
    /// The slots for client connections.
    pub(crate) slots: Arc<ConnectionSlots>,
    /// The trusted proxies in front of this one.
    pub(crate) trusted_proxies: TrustedProxies,
    /// Whether connections begin with a PROXY protocol header.
    pub(crate) has_proxy_protocol: bool,
    /// How long a connection without a request is kept.
    pub(crate) idle_timeout: Duration,
    /// TLS of the listener; `None` for plain HTTP.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Triggered when the proxy stops.
    pub(crate) shutdown: Shutdown,
    /// The source of request ids.
    pub(crate) request_ids: RequestIds,
    /// The theme of the proxy's own pages.
    pub(crate) theme: Theme,
    /// This worker's counters.
    pub(crate) metrics: Arc<WorkerMetrics>,
    /// Triggered when another configuration becomes active.
    retired: Shutdown,
    /// Whether clients are asked for certificates.
    is_mutual: bool,
    providers: Rc<Providers>,
}

impl Proxy {
    /// Builds a worker's proxy; must run within the worker's `LocalSet`.
    ///
    /// # Errors
    /// The plugin does not start, or a route cannot be used.
    pub(crate) fn build(shared: &ProxyShared, shutdown: Shutdown) -> anyhow::Result<Rc<Self>> {
        let roots = Roots::default();
        let config = &shared.config;
        let providers = Rc::new(Providers::new(
            config.provider.as_ref(),
            &shared.provider_access,
            &roots,
            &shared.limits.provider,
        )?);
        let services = wasm::Services {
            calls: Rc::<Providers>::clone(&providers),
            log: Rc::new(ModuleLog),
            shared: shared.data.clone(),
            ..wasm::Services::default()
        };
        let plugin_config = Rc::new(shared.plugin_config());
        let plugin = wasm::Plugin::start(&shared.module, plugin_config, services)?;
        // The timer of an instance that never serves must not do anything.
        plugin.hold();
        Ok(Rc::new(Self {
            plugin,
            routes: Routes::new(&config.routes, &roots, &shared.limits.upstreams)?,
            upstream_descriptors: shared.limits.upstreams.descriptors.clone(),
            slots: Arc::clone(&shared.limits.slots),
            trusted_proxies: config.listener.trusted_proxies(),
            has_proxy_protocol: config.listener.proxy_protocol,
            idle_timeout: config.listener.idle_timeout,
            tls: shared.tls.clone().map(TlsAcceptor::from),
            shutdown,
            request_ids: RequestIds::default(),
            theme: Theme::new(&config.branding),
            metrics: shared.limits.upstreams.metrics.add_worker(),
            retired: Shutdown::default(),
            is_mutual: shared.is_mutual,
            providers,
        }))
    }

    /// Returns the address that a new connection counts for, as far as it is known before the first byte. Behind a proxy,
    /// the peer is that proxy, which carries the connections of many clients.
    pub(crate) fn client_of(&self, peer: SocketAddr) -> Option<IpAddr> {
        let is_client = !self.has_proxy_protocol && !self.trusted_proxies.any();
        is_client.then(|| peer.ip())
    }

    /// Returns when connections that were accepted under this configuration have to end before the proxy stops. Their
    /// clients' certificates were checked with its authorities, and the next configuration may have others.
    pub(crate) fn outdated(&self) -> Option<Shutdown> {
        self.is_mutual.then(|| self.retired.clone())
    }

    /// Closes idle connections that are past their age.
    fn sweep(&self) {
        self.routes.sweep();
        self.providers.sweep();
    }
}
