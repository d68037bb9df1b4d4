//! `jetway envoy-config`: generates Envoy's configuration.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use jetway_envoy_config::{Options, generate_bootstrap};

use crate::config;

/// Print an Envoy bootstrap for a configuration file.
#[derive(Args, Debug)]
pub(crate) struct EnvoyConfigArgs {
    /// Configuration file (YAML or JSON).
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Path at which Envoy finds the module that `jetway module` writes.
    #[arg(long, value_name = "PATH", default_value = "/etc/jetway/jetway.wasm")]
    module: PathBuf,
}

/// Prints the bootstrap.
///
/// # Errors
/// A file that cannot be used, or a setting that Envoy does not support.
pub(crate) fn run(args: &EnvoyConfigArgs) -> anyhow::Result<()> {
    let loaded = config::load_and_warn(&args.config)?;
    let module_path = args
        .module
        .to_str()
        .context("the module's path is not UTF-8")?
        .to_owned();
    let options = Options {
        module_path,
        ..Options::default()
    };
    super::print(generate_bootstrap(&loaded.config, &loaded.file, &options)?.as_bytes())
}
