//! The command line.

use clap::{Parser, Subcommand};

use crate::command::{
    check, cockpit, doctor, envoy_config, explain, filter, init, keygen, reference, run, schema,
    test,
};
use crate::log::LogArgs;

/// Identity-aware access proxy for Cockpit and other web applications.
///
/// Users sign in with an OpenID Connect provider; each route's policy decides who has access.
#[derive(Debug, Parser)]
#[command(
    name = "jetway",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a first configuration with its secrets.
    Init(init::InitArgs),
    /// Run the proxy with a configuration file.
    Run(run::RunArgs),
    /// Check a configuration file: its problems, and how each key is supported.
    Check(check::CheckArgs),
    /// Diagnose the deployment: what breaks, why, what users would see, and how to fix it.
    Doctor(doctor::DoctorArgs),
    /// Explain the decision about a request: its route, the decision, and each criterion of the policy.
    Explain(explain::ExplainArgs),
    /// Compare decisions with expected ones.
    Test(test::TestArgs),
    /// Print a JSON Schema of the configuration file, for editors.
    Schema(schema::SchemaArgs),
    /// Print the reference of all keys of the configuration file, as Markdown.
    Reference(reference::ReferenceArgs),
    /// Generate the secrets that a configuration needs.
    Keygen(keygen::KeygenArgs),
    /// Write the proxy-wasm module, for Envoy, to standard output.
    Filter(filter::FilterArgs),
    /// Set up Cockpit behind this proxy.
    Cockpit(cockpit::CockpitArgs),
    /// Print an Envoy bootstrap for the same configuration and module.
    EnvoyConfig(envoy_config::EnvoyConfigArgs),
}

impl Command {
    /// Whether the command runs until it is stopped. Such a command never waits for a reader of its output.
    pub(crate) const fn runs_until_stopped(&self) -> bool {
        matches!(self, Self::Run(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
