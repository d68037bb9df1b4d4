//! The parts of `make bench` that need no proxy: reading what load programs print, quartiles, targets. The measurements
//! themselves are not repeated here, because they take minutes and their figures mean nothing on a machine with other work.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

#[test]
fn the_benchmark_reads_outputs_and_judges_figures() -> Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/bench");
    // Every module is imported there, so that one that does not compile fails, too.
    let output = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-s", "unit", "-t", "."])
        .current_dir(folder)
        .output()
        .context("python3 does not run")?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{log}");
    ensure!(log.contains("Ran ") && !log.contains("Ran 0 "), "{log}");
    Ok(())
}
