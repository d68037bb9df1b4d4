//! The host answers as Envoy does, and forwards the same bytes: generated configurations and requests. `JETWAY_DIFF_SEED`
//! repeats a run, `JETWAY_DIFF_CASES` sets how many conversations there are.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jetway_tests::differential::{KNOWN, Known, Plan, compare};
use jetway_tests::{ProxyKind, Scene, run_for};

const DIFFERENCES: &str = include_str!("../../docs/differences.md");

/// Conversations in all, and with one configuration.
const CASES: usize = 160;
const OF_ONE: usize = 80;

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

#[test]
fn every_known_difference_is_documented() -> Result<()> {
    let section = DIFFERENCES.split_once("## Found by the differential test\n");
    let (_, section) = section.context("the section about the differential test")?;
    let table = section.lines().take_while(|line| !line.starts_with("## "));
    let rows: Vec<&str> = table.filter(|line| line.starts_with('|')).skip(2).collect();
    let known: Vec<String> = KNOWN.iter().map(Known::row).collect();
    ensure!(rows == known, "{rows:#?}\nis not\n{known:#?}");
    Ok(())
}
