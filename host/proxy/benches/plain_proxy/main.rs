//! The bundled host without a plugin: what `make bench` subtracts to see what the module costs.
//!
//! Every source file of the host that a request passes is compiled in as it is, but for the plugin: here, each request gets
//! the first route. It is a program of its own, never a mode of `jetway`, because it asks nobody who they are; and it
//! listens on loopback only.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "only the way of a request is used"
)]

mod wasm;

/// The proxy's own modules, found by name below `host/proxy/src`.
#[path = "../../src"]
mod host {
    pub(crate) mod access;
    pub(crate) mod answer;
    pub(crate) mod body;
    pub(crate) mod callouts;
    pub(crate) mod caught;
    pub(crate) mod connection;
    pub(crate) mod exchange;
    pub(crate) mod fault;
    pub(crate) mod limits;
    pub(crate) mod serve;
    pub(crate) mod tls;
    pub(crate) mod transport;
    pub(crate) mod tunnel;
    pub(crate) mod upstream;
}

// The host's modules name each other from the root of their crate.
use host::{
    access, answer, body, callouts, caught, connection, exchange, fault, limits, serve, tls,
    transport, tunnel, upstream,
};

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
    let addresses = serve::addresses(&config.listener.address)?;
    ensure!(
        addresses.iter().all(|address| address.ip().is_loopback()),
        "this proxy checks nothing: loopback only"
    );
    let settings = serve::Settings {
        certificates: tls::Certificates::read(&config.listener)?,
        config,
        file,
        addresses,
        workers: NonZeroUsize::MIN,
        module: &[],
        provider_access: callouts::ProviderAccess::default(),
        open_files: limits::raise_open_files()?,
    };
    serve::run(settings, |_| ())
}
