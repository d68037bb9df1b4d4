//! The log: its options, its format and its writer.
//!
//! The proxy never waits for its log and does not fail with it: log lines pass through a bounded queue to a thread that only
//! writes them to standard error. Lines that do not fit or cannot be written are dropped and counted, and the log reports
//! their number as soon as it can be written again.
//!
//! The non-blocking writer of `tracing-appender` is not suitable: it bounds lines but not bytes, does not count the lines that
//! the system refuses to write, does not report losses, and prints to standard error with a macro that panics when its own
//! shutdown takes too long, which happens just when standard error is stuck.

mod panic;
mod queue;
mod writer;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::terminal::Styles;
use queue::LogQueue;
use writer::LogWriter;

/// The levels without `--log-level` and `RUST_LOG`. Details of the libraries are not for operators.
const DEFAULT_LEVELS: &str = "info,hyper=warn,h2=warn,rustls=warn,wasmtime=warn,cranelift=warn";

/// How long the end of the process waits for the rest of the log to be written: plenty for a working reader, and little for
/// a supervisor that waits for the process.
const LOG_FLUSH: Duration = Duration::from_secs(2);

/// Target of the line about dropped lines, which does not pass through the queue.
const DROPPED: &str = "log";

/// The queue of a running proxy.
static QUEUE: OnceLock<Arc<LogQueue>> = OnceLock::new();

thread_local! {
    /// The line about dropped lines, in the format of the log.
    static REPORT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The logging options.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// Least important lines to log: error, warn, info, debug, trace, or directives as in RUST_LOG.
    #[arg(long, global = true, value_name = "LEVEL", env = "RUST_LOG")]
    log_level: Option<String>,
    /// Format of log lines.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The log of this process. Dropping it writes the rest, as far as that is possible in a short time.
#[derive(Debug)]
#[must_use]
pub(crate) struct Log {
    queue: Option<Arc<LogQueue>>,
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.close(LOG_FLUSH);
        }
    }
}

/// Starts logging to standard error, through a queue if `serves`. Call once.
///
/// # Errors
/// Invalid levels, or a thread that cannot be started.
pub(crate) fn start(args: &LogArgs, serves: bool) -> anyhow::Result<Log> {
    let levels = match &args.log_level {
        // A single word is the level of this program: libraries keep theirs.
        Some(level) if !level.contains(['=', ',']) => format!("{DEFAULT_LEVELS},{level}"),
        Some(directives) => with_loss_report(directives),
        None => DEFAULT_LEVELS.to_owned(),
    };
    let filter =
        EnvFilter::try_new(&levels).with_context(|| format!("`{levels}` is not a log level"))?;
    let (queue, lines) = if serves {
        let queue = start_writer()?;
        std::panic::set_hook(Box::new(panic::log));
        (Some(Arc::clone(&queue)), build_layer(args, LogLines(queue)))
    } else {
        (None, build_layer(args, io::stderr))
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
    Ok(Log { queue })
}

/// Adds a directive for the line about dropped lines, because the directives may set no general level. A directive of the
/// operator for that line comes later and wins.
fn with_loss_report(directives: &str) -> String {
    format!("{DROPPED}=error,{directives}")
}

/// Returns how many lines of the log were dropped since the start of the process.
pub(crate) fn count_dropped() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.count_dropped())
}

/// Prints a message for people to standard error, through the queue if there is one. A message that cannot be written is
/// dropped.
pub(crate) fn print_message(message: &str) {
    match QUEUE.get() {
        Some(queue) => queue.push(format!("{message}\n").as_bytes()),
        // There is no other place to report this.
        None => drop(writeln!(io::stderr(), "{message}")),
    }
}

fn build_layer<W>(args: &LogArgs, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        // The layer would print them with a macro that panics when standard error fails.
        .log_internal_errors(false);
    match args.log_format {
        LogFormat::Text => layer.with_ansi(Styles::for_stderr().is_coloured()).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// Starts the thread that writes. It has a handle of its own, so that it never holds the lock of [`std::io::Stderr`] while
/// it waits.
fn start_writer() -> anyhow::Result<Arc<LogQueue>> {
    let output = io::stderr().as_fd().try_clone_to_owned();
    let output = File::from(output.context("cannot open standard error")?);
    let queue = Arc::<LogQueue>::default();
    let writer = LogWriter::new(output, Box::new(report_losses));
    let work = Arc::clone(&queue);
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || writer.run(&work))
        .context("cannot start the thread that writes the log")?;
    Ok(Arc::clone(QUEUE.get_or_init(|| queue)))
}

/// Formats the line about dropped lines as a log line. It is an error, so that it appears at every level.
fn report_losses(lines: u64, cause: &str) -> Vec<u8> {
    tracing::error!(
        target: DROPPED,
        lines,
        "{lines} log lines were dropped because the log could not be written: {cause}"
    );
    REPORT.take()
}

/// Creates writers of single lines.
struct LogLines(Arc<LogQueue>);

/// The destination of one line.
enum LogLine<'a> {
    Queued(&'a LogQueue),
    /// The line of [`report_losses`], which is returned to it.
    Report,
}

impl<'a> MakeWriter<'a> for LogLines {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> LogLine<'a> {
        LogLine::Queued(&self.0)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LogLine<'a> {
        if metadata.target() == DROPPED {
            LogLine::Report
        } else {
            LogLine::Queued(&self.0)
        }
    }
}

impl Write for LogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Queued(queue) => queue.push(bytes),
            Self::Report => REPORT.with_borrow_mut(|report| report.extend_from_slice(bytes)),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_lines_are_reported_under_directives_without_a_general_level() {
        for (directives, told) in [
            ("access=info", true),
            ("access=off,hyper=warn", true),
            ("log=off,access=info", false),
        ] {
            let filter = EnvFilter::try_new(with_loss_report(directives)).unwrap();
            let layer = tracing_subscriber::fmt::layer().with_writer(LogLines(Arc::default()));
            let subscriber = tracing_subscriber::registry().with(layer).with(filter);
            let line = tracing::subscriber::with_default(subscriber, || report_losses(7, "a test"));
            let line = String::from_utf8(line).unwrap();
            let is_told = line.contains("7 log lines were dropped");
            assert_eq!(is_told, told, "{directives}: {line}");
        }
    }
}
