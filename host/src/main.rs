//! `jetway`: an identity-aware access proxy for Cockpit and other web applications.
#![forbid(unsafe_code)]

mod access;
mod answer;
mod args;
mod body;
mod callouts;
mod caught;
mod cockpit;
mod command;
mod config;
mod connection;
mod demo;
mod doctor;
mod exchange;
mod fault;
mod file;
mod limits;
mod log;
mod module;
mod serve;
mod terminal;
mod tls;
mod transport;
mod tunnel;
mod upstream;
mod wasm;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    let serves = args.command.serves();
    match log::start(&args.log, serves) {
        Ok(log) => {
            let code = conclude(run(args.command), serves);
            // It writes what is left, the report of an error included.
            drop(log);
            code
        }
        Err(error) => conclude(Err(error), serves),
    }
}

/// The exit code, after an error was reported.
fn conclude(result: anyhow::Result<()>, serves: bool) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if !serves && is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<command::AnsweredNo>() => ExitCode::FAILURE,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => command::run::run(args),
        Command::Demo(args) => command::demo::run(args),
        Command::Check(args) => command::check::run(&args),
        Command::Doctor(args) => command::doctor::run(&args),
        Command::Explain(args) => command::explain::run(&args),
        Command::Test(args) => command::test::run(&args),
        Command::Schema(args) => command::schema::run(&args),
        Command::Reference(args) => command::reference::run(&args),
        Command::Keygen(args) => command::keygen::run(&args),
        Command::Filter(args) => command::filter::run(&args),
        Command::Cockpit(args) => command::cockpit::run(&args),
        Command::EnvoyConfig(args) => command::envoy_config::run(&args),
    }
}

/// A reader that went away (`jetway filter | head -c 8`) is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.into_iter()
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

fn report(error: &anyhow::Error) {
    // A configuration report is complete in itself.
    match error.downcast_ref::<config::Unusable>() {
        Some(unusable) => log::tell(&unusable.to_string()),
        None => log::tell(&format!("error: {error:#}")),
    }
}
