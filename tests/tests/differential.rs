//! The host answers as Envoy does, and forwards the same bytes: generated configurations and requests. `JETWAY_DIFF_SEED`
//! repeats a run, `JETWAY_DIFF_CASES` sets how many conversations there are.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jetway_tests::differential::{Plan, compare};
use jetway_tests::{ProxyKind, Scene, run_for};

/// Conversations in all, and with one configuration.
const CASES: usize = 400;
const OF_ONE: usize = 200;

#[test]
fn the_host_answers_as_envoy_does() -> Result<()> {
    let mut plan = Plan::new(CASES, OF_ONE)?;
    let repeat = plan.repeat();
    run_for(
        Duration::from_secs(20 + plan.cases() as u64),
        "the_host_answers_as_envoy_does",
        ProxyKind::Host,
        async |scene: &mut Scene| {
            let found = compare(scene, &mut plan).await?;
            ensure!(
                found.is_empty(),
                "{} differences:\n{}",
                found.len(),
                found.join("\n\n")
            );
            Ok(())
        },
    )
    .context(repeat)
}
