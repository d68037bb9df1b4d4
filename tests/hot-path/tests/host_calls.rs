//! Counts the functions of the host that the module calls for one signed-in request and its response.
//!
//! Each call costs something in every proxy, in Envoy about as much as in the bundled host, so that a new one is made on purpose or
//! not at all.

use std::collections::BTreeMap;

use anyhow::Result;
use jetway_hot_path::client::Client;
use jetway_hot_path::shape::Shape;
use proxy_wasm_host::{CallCounts, Engine, Module};
use tokio::task::LocalSet;

const KEPT: &str = include_str!("../host-calls.tsv");

#[test]
fn a_signed_in_request_makes_the_listed_host_calls() -> Result<()> {
    let counts = CallCounts::default();
    let module = Module::compile_counted(&Engine::new()?, jetway::FILTER, &counts)?;
    let mut counted = Vec::new();
    for shape in Shape::ALL {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        let calls = LocalSet::new().block_on(&runtime, count(&module, &counts, &shape))?;
        let rows = calls.iter();
        counted
            .extend(rows.map(|(function, count)| format!("{}\t{function}\t{count}", shape.name)));
    }
    let listed: Vec<&str> = KEPT.lines().skip(1).collect();
    assert_eq!(
        counted, listed,
        "tests/hot-path/host-calls.tsv lists the calls"
    );
    Ok(())
}

/// Returns how often the module calls each function of the host for a signed-in request, once its caches are warm.
async fn count(
    module: &Module,
    counts: &CallCounts,
    shape: &Shape,
) -> Result<BTreeMap<String, u64>> {
    let client = Client::start(module, shape)?;
    let cookie = client.sign_in().await?;
    client.visit(&shape.headers(&cookie))?;
    drop(counts.take());
    client.visit(&shape.headers(&cookie))?;
    Ok(counts.take())
}
