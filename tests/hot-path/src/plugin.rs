//! Repeats a signed-in request through the module in the bundled host, so that callgrind can count the instructions of both.

use std::path::Path;

use anyhow::{Context as _, Result};
use jetway_hot_path::client::Client;
use jetway_hot_path::shape::{Headers, Shape};
use proxy_wasm_host::{Engine, Module, ModuleCache};
use tokio::task::LocalSet;

/// How many requests fill the caches and the module's memory before the count begins.
const WARM_UP: u32 = 16;

/// Signs a user in through the module of the file `module`, and repeats a request of this shape. The compiled module is kept in
/// the folder `cache`.
pub(crate) fn run(shape: &Shape, requests: u32, module: &Path, cache: &Path) -> Result<()> {
    let wasm =
        std::fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let engine = Engine::new()?.with_cache(ModuleCache::open(cache)?);
    let module = Module::compile(&engine, &wasm)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let client = Client::start(&module, shape)?;
        let cookie = client.sign_in().await?;
        let headers = shape.headers(&cookie);
        (0..WARM_UP).try_for_each(|_| client.visit(&headers))?;
        visit_repeatedly(&client, &headers, requests)
    })
}

/// Makes requests while callgrind counts: it begins where this function is called, and ends where it returns.
#[inline(never)]
fn visit_repeatedly(client: &Client, headers: &Headers, requests: u32) -> Result<()> {
    (0..requests).try_for_each(|_| client.visit(headers))
}
