//! The command line.

use clap::{Parser, Subcommand};

use crate::command::{
    check, cockpit, doctor, envoy_config, explain, filter, keygen, reference, run, schema, test,
};
use crate::log::LogArgs;

/// Identity-aware access proxy for Cockpit and other web applications.
///
/// Visitors sign in with an OpenID Connect provider; each route's policy says who may pass.
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

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy with a configuration file.
    Run(run::RunArgs),
    /// Check a configuration file: what is wrong with it, and what becomes of its keys.
    Check(check::CheckArgs),
    /// Examine the file, the machine, the provider and the upstreams: what would a visitor meet, and why?
    Doctor(doctor::DoctorArgs),
    /// Explain what would become of a request: route, decision and each criterion of the policy.
    Explain(explain::ExplainArgs),
    /// Compare decisions with a table of expected ones.
    Test(test::TestArgs),
    /// Print a JSON Schema of the configuration file, for editors.
    Schema(schema::SchemaArgs),
    /// Print the reference of all keys of the configuration file, as Markdown.
    Reference(reference::ReferenceArgs),
    /// Make the secrets that a configuration needs.
    Keygen(keygen::KeygenArgs),
    /// Write the proxy-wasm module, for Envoy, to standard output.
    Filter(filter::FilterArgs),
    /// Set up Cockpit behind this proxy.
    Cockpit(cockpit::CockpitArgs),
    /// Print an Envoy bootstrap that does the same with the same module.
    EnvoyConfig(envoy_config::EnvoyConfigArgs),
}

impl Command {
    /// Whether it runs until it is told to stop. Such a command never waits for a reader of its output.
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
