//! `jetway cockpit …`: sets up Cockpit behind the proxy.

pub(crate) mod conf;
mod keys;
mod setup;
mod trusted;

#[cfg(test)]
mod sample;

use clap::{Args, Subcommand};

/// Set up Cockpit behind this proxy.
#[derive(Args, Debug)]
pub(crate) struct CockpitArgs {
    #[command(subcommand)]
    command: CockpitCommand,
}

#[derive(Debug, Subcommand)]
enum CockpitCommand {
    /// Print the section of cockpit.conf that lets Cockpit work behind this proxy.
    Conf(conf::ConfArgs),
    /// Print the public keys that verify logins, for another machine.
    Keys(keys::KeysArgs),
    /// Set up single sign-on for the Cockpit of this machine, or undo it.
    Setup(setup::SetupArgs),
}

/// Runs a subcommand.
///
/// # Errors
/// As the subcommand.
pub(crate) fn run(args: &CockpitArgs) -> anyhow::Result<()> {
    match &args.command {
        CockpitCommand::Conf(args) => conf::run(args),
        CockpitCommand::Keys(args) => keys::run(args),
        CockpitCommand::Setup(args) => setup::run(args),
    }
}
