//! `jetway run`: runs the proxy.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jetway_proxy::callouts::ProviderAccess;
use jetway_proxy::limits;
use jetway_proxy::serve::{self, ProcessFacts, Settings};

use crate::args::VERSION;
use crate::{config, log, module, module_cache};

/// The most seconds of `--drain-time`: an hour, for large downloads. A longer time is a mistake.
const MAX_DRAIN_TIME: u64 = 3_600;
/// The value of `--module-cache` for no directory.
const NO_CACHE: &str = "none";

/// Run the proxy with a configuration file until it is stopped (SIGTERM or Ctrl-C).
///
/// Changes of the file and of the files that it names take effect within seconds, or immediately on SIGHUP. Invalid changes
/// are logged and the previous configuration stays active.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Configuration file (YAML or JSON).
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Threads that serve requests [default: one per processor].
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Keep the compiled module in this directory, so that the next start is faster; `none` compiles it at each start
    /// [default: $CACHE_DIRECTORY, $XDG_CACHE_HOME/jetway or ~/.cache/jetway].
    #[arg(long, value_name = "DIRECTORY")]
    module_cache: Option<PathBuf>,
    /// Listen on this address (`host:port` or `:port`) instead of the file's `address`.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// How long requests in progress may take to end after SIGTERM.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "JETWAY_DRAIN_TIME",
        default_value_t = limits::GRACE.as_secs(),
        value_parser = clap::value_parser!(u64).range(..=MAX_DRAIN_TIME)
    )]
    drain_time: u64,
}

/// Serves until it is stopped. The file is read again when it or a file that it names changes, and on SIGHUP.
///
/// # Errors
/// A file, certificate, address or plugin that cannot be used.
pub(crate) fn run(args: RunArgs) -> anyhow::Result<()> {
    let read = || read_settings(&args);
    serve::run_reloading(read, |running| {
        super::announce(format!("listening on {}\n", running.urls()));
    })
}

/// Returns the directory for the compiled module; `None` when there is none, or the user wants none.
fn module_cache_directory(args: &RunArgs) -> Option<PathBuf> {
    match &args.module_cache {
        None => module_cache::default_module_cache(),
        Some(directory) if directory.as_os_str() == NO_CACHE => None,
        Some(directory) => Some(directory.clone()),
    }
}

fn read_settings(args: &RunArgs) -> anyhow::Result<Settings> {
    // The proxy starts with a file only if `jetway check` finds no problem in it, certificates included.
    let (inspection, certificates) = super::check::inspect_with_certificates(&args.config);
    let loaded = config::accept_with_warnings(inspection)?;
    let listener = &loaded.config.listener;
    let certificates = certificates.context("the listener's certificates were not read")?;
    let addresses = serve::parse_addresses(args.listen.as_deref().unwrap_or(&listener.address))?;
    Ok(Settings {
        config: loaded.config,
        file: loaded.file,
        certificates,
        addresses,
        workers: args.workers.unwrap_or_else(serve::default_workers),
        module: module::FILTER,
        module_cache: module_cache_directory(args),
        provider_access: ProviderAccess::default(),
        open_files: limits::raise_open_files()?,
        process: ProcessFacts {
            version: VERSION,
            dropped_log_lines: log::count_dropped,
        },
        drain_time: Duration::from_secs(args.drain_time),
    })
}
