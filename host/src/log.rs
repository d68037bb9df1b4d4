//! Where log lines go and what they look like.

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// What is logged when neither `--log-level` nor `RUST_LOG` says otherwise. The runtime's own details are not for operators.
const DEFAULT_LEVELS: &str = "info,hyper=warn,h2=warn,rustls=warn,wasmtime=warn,cranelift=warn";

/// The logging options.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// Least important lines to log: error, warn, info, debug, trace, or directives as in RUST_LOG.
    #[arg(long, global = true, value_name = "LEVEL", env = "RUST_LOG")]
    log_level: Option<String>,
    /// How a log line looks.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging to standard error. Call once.
///
/// # Errors
/// Levels that cannot be understood.
pub(crate) fn start(args: &LogArgs) -> anyhow::Result<()> {
    let levels = match &args.log_level {
        // A single word is about this program: libraries stay quiet.
        Some(level) if !level.contains(['=', ',']) => format!("{DEFAULT_LEVELS},{level}"),
        Some(directives) => directives.clone(),
        None => DEFAULT_LEVELS.to_owned(),
    };
    let filter =
        EnvFilter::try_new(&levels).with_context(|| format!("`{levels}` is no log level"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match args.log_format {
        Format::Text => builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init(),
        Format::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
