//! `jetway check`: reports the problems of a configuration file and how each of its keys is supported.

mod files;
mod migration;
mod verdict;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::CheckFailed;
use crate::log;
use crate::terminal::Styles;
use jetway_config_file::Inspection;
use jetway_proxy::tls::Certificates;
use verdict::Verdict;

/// Check a configuration file, and list how each of its keys is supported.
///
/// Purely local: nothing is started and no server is contacted. Secret files and certificates are read. The exit status is
/// 0 when the file can be used.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Configuration file (YAML or JSON).
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Fail on warnings too, and treat unknown keys as errors.
    #[arg(long)]
    strict: bool,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: CheckFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CheckFormat {
    /// For people: problems and warnings on standard error, the keys and a last line on standard output.
    Text,
    /// One JSON object with `file`, `ok`, `problems`, `warnings` and `keys`.
    Json,
}

impl CheckArgs {
    /// Checks this file as without further options.
    pub(super) fn of(file: &Path) -> Self {
        Self {
            config: file.to_owned(),
            strict: false,
            format: CheckFormat::Text,
        }
    }
}

/// Reads a file and the files that it names, and returns all findings.
pub(super) fn inspect(path: &Path) -> Inspection {
    inspect_with_certificates(path).0
}

/// Reads a file and the files that it names, and returns all findings and the listener's certificates if they can be used.
pub(super) fn inspect_with_certificates(path: &Path) -> (Inspection, Option<Certificates>) {
    let mut inspection = jetway_config_file::inspect(path);
    let certificates = files::check(&mut inspection);
    (inspection, certificates)
}

/// Prints all findings.
///
/// # Errors
/// [`CheckFailed`] for a file that cannot be used, or that has warnings with `--strict`.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let mut inspection = inspect(&args.config);
    if args.strict {
        inspection.refuse_unknown_keys();
    }
    let name = args.config.display().to_string();
    let verdict = Verdict::of(&name, &inspection, args.strict);
    let printed = match args.format {
        CheckFormat::Text => {
            let shown = inspection.render(Styles::for_stderr().is_coloured());
            if !shown.is_empty() {
                log::print_message(&format!("{shown}\n"));
            }
            super::print(verdict.render_text().as_bytes())
        }
        CheckFormat::Json => super::print(format!("{}\n", verdict.render_json()?).as_bytes()),
    };
    if verdict.is_ok() {
        printed
    } else {
        // The exit status is the same when the reader of the output closes it early.
        Err(CheckFailed.into())
    }
}
