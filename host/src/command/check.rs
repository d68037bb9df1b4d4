//! `jetway check`: is this file usable, and what becomes of its keys?

mod files;
mod migration;
mod verdict;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::CheckFailed;
use crate::log;
use jetway_config_file::Inspection;
use verdict::Verdict;

/// Check a configuration file, and tell what becomes of each of its keys.
///
/// Nothing is started and nobody is scenario: secret files and certificates are read, the provider and the upstreams are not
/// looked for. The exit status is 0 when the file can be used.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Configuration file (YAML or JSON).
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Fail on warnings too, and take unknown keys for errors.
    #[arg(long)]
    strict: bool,
    /// How the answer is written.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people: problems and warnings on standard error, the keys and a last line on standard output.
    Text,
    /// One JSON object with `file`, `ok`, `problems`, `warnings` and `keys`.
    Json,
}

/// Reads a file and everything that it names: what `jetway check` is about.
pub(super) fn inspect(path: &Path) -> Inspection {
    let mut inspection = jetway_config_file::inspect(path);
    files::check(&mut inspection);
    inspection
}

/// Prints everything about the file.
///
/// # Errors
/// [`CheckFailed`] for a file that cannot be used, or that has warnings and shall have none.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let mut inspection = inspect(&args.config);
    if args.strict {
        inspection.refuse_unknown_keys();
    }
    let name = args.config.display().to_string();
    let verdict = Verdict::of(&name, &inspection, args.strict);
    let printed = match args.format {
        Format::Text => {
            let shown = inspection.render(std::io::stderr().is_terminal());
            if !shown.is_empty() {
                log::print_message(&format!("{shown}\n"));
            }
            super::print(verdict.render_text().as_bytes())
        }
        Format::Json => super::print(format!("{}\n", verdict.render_json()?).as_bytes()),
    };
    if verdict.is_ok() {
        printed
    } else {
        // Whoever reads only the beginning of the output gets the exit status all the same.
        Err(CheckFailed.into())
    }
}
