//! `jetway check`: is this file usable?

use std::path::PathBuf;

use clap::Args;

use crate::config;
use crate::tls::Certificates;

/// Check a configuration file.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Configuration file (YAML or JSON).
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// Prints problems and warnings to standard error, one line to standard output when the file is usable.
///
/// # Errors
/// A file that cannot be used.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let loaded = config::load_and_warn(&args.config)?;
    Certificates::read(&loaded.config.listener)?.server_config()?;
    let routes = loaded.config.routes.len();
    let noun = if routes == 1 { "route" } else { "routes" };
    super::print(format!("{}: ok, {routes} {noun}\n", args.config.display()).as_bytes())
}
