//! Runs a scenario from beginning to end.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::{ProxyKind, Scene};

/// Time limit of a scenario, which is then stopped so that its logs are kept. The test runner's own limit is above
/// this.
const LIMIT: Duration = Duration::from_secs(150);

/// Runs a scenario with a running provider. Logs stay in `target/test-logs` if it fails.
///
/// # Errors
/// Returns the scenario's error, after printing the ends of the logs.
pub fn run(
    name: &str,
    kind: ProxyKind,
    scenario: impl AsyncFnOnce(&mut Scene) -> Result<()>,
) -> Result<()> {
    run_for(LIMIT, name, kind, scenario)
}

/// The same for a scenario that may take this long.
///
/// # Errors
/// The scenario's, after printing the ends of the logs.
pub fn run_for(
    limit: Duration,
    name: &str,
    kind: ProxyKind,
    scenario: impl AsyncFnOnce(&mut Scene) -> Result<()>,
) -> Result<()> {
    let mut scene = Scene::new(name, kind)?;
    let result = in_runtime(limit, async {
        scene.provider.start(&scene.installed).await?;
        scenario(&mut scene).await
    });
    if result.is_err() {
        eprintln!("{}", scene.keep_logs());
    }
    result
}

/// Runs a scenario without a proxy.
///
/// # Errors
/// Returns the scenario's error.
pub fn run_without_proxy(scenario: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    in_runtime(LIMIT, scenario())
}

/// Runs everything on one thread: programs end with the thread that starts them, see [`crate::Process`].
fn in_runtime(limit: Duration, scenario: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(async {
        match tokio::time::timeout(limit, scenario).await {
            Ok(result) => result,
            Err(_) => bail!("the scenario did not end within {limit:?}"),
        }
    })
}
