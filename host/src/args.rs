//! The command line.

use std::sync::LazyLock;

use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::command::{
    check, cockpit, completions, doctor, envoy_config, explain, init, keygen, manual, module,
    reference, run, schema, test,
};
use crate::log::LogArgs;

/// The version and, where it is known, the commit.
pub(crate) const VERSION: &str = env!("JETWAY_VERSION");
/// The same, and when and of what the program was built.
static LONG_VERSION: LazyLock<String> = LazyLock::new(|| {
    let seconds = env!("JETWAY_BUILD_TIME").parse().unwrap_or_default();
    let built = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    format!(
        "{VERSION}\nbuilt: {built}\nmodule: sha256 {}\nwasmtime: {}",
        env!("JETWAY_MODULE_DIGEST"),
        env!("JETWAY_WASMTIME")
    )
});

/// Identity-aware access proxy for Cockpit and other web applications.
///
/// Users sign in with an OpenID Connect provider; each route's policy decides who has access.
#[derive(Debug, Parser)]
#[command(
    name = "jetway",
    version = VERSION,
    long_version = LONG_VERSION.as_str(),
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

impl Args {
    /// Reads the command line, or prints help, the version or an error and ends the process.
    pub(crate) fn read() -> Self {
        let matches = build_command().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// Builds the command line. The options of the log are accepted everywhere, and the help shows them where there is a log.
pub(crate) fn build_command() -> clap::Command {
    Args::command()
        .mut_args(|option| option.hide(true))
        .mut_subcommand("run", LogArgs::augment_args)
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
    #[command(alias = "filter")]
    Module(module::ModuleArgs),
    /// Set up Cockpit behind this proxy.
    Cockpit(cockpit::CockpitArgs),
    /// Print an Envoy bootstrap for the same configuration and module.
    EnvoyConfig(envoy_config::EnvoyConfigArgs),
    /// Write completions for a shell to standard output.
    Completions(completions::CompletionsArgs),
    /// Write the manual pages of all commands to a folder.
    #[command(hide = true)]
    Manual(manual::ManualArgs),
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

    #[test]
    fn the_command_line_is_consistent() {
        build_command().debug_assert();
    }

    #[test]
    fn the_version_has_the_commit() {
        let commit = VERSION.strip_prefix(env!("CARGO_PKG_VERSION")).unwrap();
        if commit.is_empty() {
            // Without Git, or in a checkout that Git refuses to read, the commit is not known.
            let git = std::process::Command::new("git")
                .args(["rev-parse", "HEAD"])
                .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
                .output();
            assert!(!git.is_ok_and(|output| output.status.success()));
            return;
        }
        let commit = commit
            .strip_prefix(" (")
            .unwrap()
            .strip_suffix(')')
            .unwrap();
        let is_hex = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_hex && commit.len() >= 12, "{commit}");
    }

    #[test]
    fn the_long_version_tells_of_what_the_program_was_built() {
        use sha2::{Digest as _, Sha256};
        let digest = Sha256::digest(crate::FILTER);
        let digest = jetway_core::hex::encode_hex(&digest);
        let lines: Vec<&str> = LONG_VERSION.lines().collect();
        let [version, built, module, wasmtime] = lines[..] else {
            panic!("{lines:?}");
        };
        assert_eq!(version, VERSION);
        assert_eq!(module, format!("module: sha256 {digest}"));
        let built = built.strip_prefix("built: ").unwrap();
        let built: jiff::Timestamp = built.parse().unwrap();
        assert!(built.as_second() > 1_700_000_000, "{built}");
        let wasmtime = wasmtime.strip_prefix("wasmtime: ").unwrap();
        assert!(wasmtime.split('.').all(|part| part.parse::<u32>().is_ok()));
    }

    /// Asserts for a command and all below it that the help shows the options of the log where there is a log.
    fn check_help(command: &mut clap::Command, path: &str) {
        let help = command.render_long_help().to_string();
        let is_shown = help.contains("--log-level") && help.contains("--log-format");
        assert_eq!(is_shown, path == "jetway run", "{path}: {help}");
        assert!(is_shown || !help.contains("--log-"), "{path}: {help}");
        for below in command.get_subcommands_mut() {
            let path = format!("{path} {}", below.get_name());
            check_help(below, &path);
        }
    }

    #[test]
    fn only_commands_that_log_show_options_of_the_log() {
        let mut command = build_command();
        command.build();
        check_help(&mut command, "jetway");
    }

    #[test]
    fn the_options_of_the_log_are_accepted_before_and_after_every_command() {
        for line in [
            "jetway --log-format json run -c x",
            "jetway run -c x --log-format json",
            "jetway --log-format json keygen",
            "jetway keygen --log-format json",
        ] {
            let matches = build_command().try_get_matches_from(line.split(' '));
            let args = Args::from_arg_matches(&matches.unwrap()).unwrap();
            assert!(format!("{:?}", args.log).contains("Json"), "{line}");
        }
    }
}
