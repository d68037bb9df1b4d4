//! One worker's own copy of everything that a request needs: nothing in it is shared between threads.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::Stop;
use super::common::Common;
use jetway_core::http::forwarded::TrustedProxies;
use jetway_core::http::page::Theme;

use crate::callouts::Providers;
use crate::connection::ConnectionSlots;
use crate::exchange::RequestIds;
use crate::tls::Roots;
use crate::upstream::{DescriptorLimit, Routes};
use crate::wasm;

/// The proxy as one worker has it.
pub(crate) struct Proxy {
    /// The plugin instance that decides.
    pub(crate) plugin: Rc<wasm::Plugin>,
    /// Where permitted requests go.
    pub(crate) routes: Routes,
    /// Descriptors of upstream connections.
    pub(super) upstream_descriptors: DescriptorLimit,
    /// Slots for client connections.
    pub(super) slots: Arc<ConnectionSlots>,
    /// The proxies in front that are believed.
    pub(crate) trusted_proxies: TrustedProxies,
    /// Whether connections begin with a PROXY protocol header.
    pub(crate) proxy_protocol: bool,
    /// How long a connection without a request is kept.
    pub(crate) idle_timeout: Duration,
    /// TLS of the listener; `None` for plain HTTP.
    pub(crate) tls: Option<TlsAcceptor>,
    /// The order to stop.
    pub(crate) stop: Stop,
    /// Given when another configuration is in force.
    pub(super) retired: Stop,
    /// Whether clients are asked for certificates.
    is_mutual: bool,
    /// Source of request ids.
    pub(crate) request_ids: RequestIds,
    /// How the proxy's own pages look.
    pub(crate) look: Theme,
    providers: Rc<Providers>,
}

impl Proxy {
    /// Builds a worker's proxy; must run within the worker's `LocalSet`.
    pub(super) fn build(common: &Common, stop: Stop) -> anyhow::Result<Rc<Self>> {
        let roots = Roots::default();
        let config = &common.config;
        let providers = Rc::new(Providers::new(
            config.provider.as_ref(),
            &common.provider_access,
            &roots,
            &common.limits.provider,
        )?);
        let services = wasm::Services {
            calls: Rc::<Providers>::clone(&providers),
            shared: common.shared.clone(),
            ..wasm::Services::default()
        };
        let plugin = wasm::Plugin::start(&common.module, Rc::new(common.plugin()), services)?;
        // The timer of one that never gets to serve must not do anything.
        plugin.hold();
        Ok(Rc::new(Self {
            plugin,
            routes: Routes::new(&config.routes, &roots, &common.limits.upstreams)?,
            upstream_descriptors: common.limits.upstreams.descriptors.clone(),
            slots: Arc::clone(&common.limits.slots),
            trusted_proxies: config.listener.trusted_proxies(),
            proxy_protocol: config.listener.proxy_protocol,
            idle_timeout: config.listener.idle_timeout,
            tls: common
                .tls
                .clone()
                .map(|config: Arc<ServerConfig>| TlsAcceptor::from(config)),
            stop,
            retired: Stop::default(),
            is_mutual: common.is_mutual,
            request_ids: RequestIds::default(),
            look: Theme::new(&config.branding),
            providers,
        }))
    }

    /// Returns the address that a new connection counts for, as far as it is known before the first byte. Behind a proxy, the
    /// peer is that proxy, which carries the connections of many clients.
    pub(super) fn client_of(&self, peer: SocketAddr) -> Option<IpAddr> {
        let is_client = !self.proxy_protocol && !self.trusted_proxies.any();
        is_client.then(|| peer.ip())
    }

    /// When connections that were made under this configuration have to end, beside the order to stop: their clients'
    /// certificates were checked by its authorities, which may be others in the next one.
    pub(crate) fn outdated(&self) -> Option<Stop> {
        self.is_mutual.then(|| self.retired.clone())
    }

    /// Ends idle connections that are past their age.
    pub(super) fn sweep(&self) {
        self.routes.sweep();
        self.providers.sweep();
    }
}
