//! `jetway`: an identity-aware access proxy for Cockpit and other web applications. The public items are those that
//! `jetway-demo` uses.
#![forbid(unsafe_code)]

mod args;
mod cockpit;
mod command;
mod config;
mod doctor;
mod log;
mod module;
mod module_cache;
mod new_file;
mod terminal;

use std::process::ExitCode;

use args::{Args, Command};

pub use cockpit::SIGN_IN_URL;
pub use command::cockpit::conf::section as cockpit_conf_section;
pub use command::{announce, print};
pub use log::LogArgs;
pub use module::FILTER;

/// Runs the command line of `jetway`, and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::read();
    let serves = args.command.runs_until_stopped();
    program(&args.log, serves, || run(args.command))
}

/// Starts the log, runs a program, prints its error to standard error, and returns its exit code. `serves` says whether it
/// runs until it is stopped: then it never waits for the reader of its log.
#[must_use]
pub fn program(log: &LogArgs, serves: bool, work: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    match log::start(log, serves) {
        Ok(log) => {
            let code = finish(work(), serves);
            // This writes the rest of the log, including the report of an error.
            drop(log);
            code
        }
        Err(error) => finish(Err(error), serves),
    }
}

/// Reports an error, and returns the exit code.
fn finish(result: anyhow::Result<()>, serves: bool) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if !serves && is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<command::CheckFailed>() => ExitCode::FAILURE,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => command::run::run(args),
        Command::Check(args) => command::check::run(&args),
        Command::Doctor(args) => command::doctor::run(&args),
        Command::Explain(args) => command::explain::run(&args),
        Command::Test(args) => command::test::run(&args),
        Command::Schema(args) => command::schema::run(&args),
        Command::Reference(args) => command::reference::run(&args),
        Command::Init(args) => command::init::run(&args),
        Command::Keygen(args) => command::keygen::run(&args),
        Command::Module(args) => command::module::run(&args),
        Command::Cockpit(args) => command::cockpit::run(&args),
        Command::EnvoyConfig(args) => command::envoy_config::run(&args),
        Command::Completions(args) => command::completions::run(&args),
        Command::Manual(args) => command::manual::run(&args),
    }
}

/// Whether the reader of the output closed it (`jetway module | head -c 8`), which is not a failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.into_iter()
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

fn print_error(error: &anyhow::Error) {
    // A configuration report needs no prefix.
    match error.downcast_ref::<jetway_config_file::Unusable>() {
        Some(unusable) => log::print_message(&unusable.to_string()),
        None => log::print_message(&format!("error: {error:#}")),
    }
}
