//! The commands that say what a configuration means, as programs: what they print and how they end.

mod cases;
mod explain;
mod schema;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

/// How a command ended, and what it said.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    /// Standard output.
    out: String,
    /// Standard error.
    err: String,
}

/// Runs `jetway` without any of this process's environment, in the folder of the tests' files.
fn jetway(arguments: &[&str]) -> Result<Ended> {
    let output = Command::new(env!("CARGO_BIN_EXE_jetway"))
        .args(arguments)
        .env_clear()
        .current_dir(folder().join("files"))
        .output()?;
    Ok(Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

/// The folder of these tests.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands")
}
