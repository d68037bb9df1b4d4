//! `jetway filter`: writes the module for Envoy.

use std::io::IsTerminal as _;

use anyhow::bail;
use clap::Args;

use crate::module;

/// Write the proxy-wasm module to standard output: `jetway filter > jetway.wasm`.
#[derive(Args, Debug)]
pub(crate) struct FilterArgs {}

/// Writes the module.
///
/// # Errors
/// A terminal as output, or a write that fails.
pub(crate) fn run(_args: &FilterArgs) -> anyhow::Result<()> {
    if std::io::stdout().is_terminal() {
        bail!(
            "the module is binary, and standard output is a terminal: use `jetway filter > jetway.wasm`"
        );
    }
    super::print(module::FILTER)
}
