//! The proxy without a plugin: `make bench` subtracts its cost to measure the plugin.
//!
//! It compiles every source file of the proxy that a request passes, except for the plugin: each request gets the first route.
//! It is a program of its own and not a mode of `jetway`, because it authenticates no user; and it listens on loopback only.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "only the code that a request passes is used"
)]

mod wasm;

/// The proxy's own modules, found by name below `host/proxy/src`.
#[path = "../../src"]
mod host {
    pub(crate) mod access;
    pub(crate) mod admin;
    pub(crate) mod body;
    pub(crate) mod callouts;
    pub(crate) mod catch_panic;
    pub(crate) mod client;
    pub(crate) mod connection;
    pub(crate) mod error_response;
    pub(crate) mod exchange;
    pub(crate) mod fault;
    pub(crate) mod limits;
    pub(crate) mod metrics;
    pub(crate) mod module_log;
    pub(crate) mod panic_point;
    pub(crate) mod proxy;
    pub(crate) mod request_id;
    pub(crate) mod serve;
    pub(crate) mod shutdown;
    pub(crate) mod slots;
    #[cfg(test)]
    pub(crate) mod testing;
    pub(crate) mod tls;
    pub(crate) mod transport;
    pub(crate) mod upstream;
}

// The modules refer to each other by paths from the crate root.
use host::{
    access, admin, body, callouts, catch_panic, client, connection, error_response, exchange,
    fault, limits, metrics, module_log, panic_point, proxy, request_id, serve, shutdown, slots,
    tls, transport, upstream,
};

#[cfg(test)]
use host::testing;

use std::num::NonZeroUsize;

use anyhow::{Context as _, ensure};
use jetway_core::config::Config;

fn main() -> anyhow::Result<()> {
    let path = std::env::args()
        .nth(1)
        .context("give the configuration, as JSON")?;
    let file = serde_json::from_slice(&std::fs::read(&path)?)?;
    let config = Config::read(&file, &|name| std::env::var(name).ok())?.config;
    let route = config.routes.first().context("there is no route")?;
    wasm::permit_everything_for(&route.id)?;
    let addresses = serve::parse_addresses(&config.listener.address)?;
    ensure!(
        addresses.iter().all(|address| address.ip().is_loopback()),
        "this proxy checks nothing: loopback only"
    );
    let settings = serve::Settings {
        process: serve::ProcessFacts::default(),
        certificates: tls::Certificates::read(&config.listener)?,
        config,
        file,
        addresses,
        workers: NonZeroUsize::MIN,
        module: &[],
        module_cache: None,
        provider_access: callouts::ProviderAccess::default(),
        open_files: limits::raise_open_files()?,
        drain_time: limits::GRACE,
    };
    serve::run(|| Ok(settings), |_| ())
}
