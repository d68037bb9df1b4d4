//! `jetway module`: writes the module for Envoy.

use std::io::IsTerminal as _;

use anyhow::bail;
use clap::Args;

/// Write the proxy-wasm module to standard output: `jetway module > jetway.wasm`.
#[derive(Args, Debug)]
pub(crate) struct ModuleArgs {}

/// Writes the module.
///
/// # Errors
/// A terminal as output, or a write that fails.
pub(crate) fn run(_args: &ModuleArgs) -> anyhow::Result<()> {
    if std::io::stdout().is_terminal() {
        bail!(
            "the module is binary, and standard output is a terminal: use `jetway module > jetway.wasm`"
        );
    }
    super::print(crate::module::FILTER)
}
