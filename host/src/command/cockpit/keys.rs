//! `jetway cockpit keys`: what another machine has to know of this proxy to believe its logins.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::trusted::{NO_KEY, verifiable};
use crate::config;

/// Print the public keys that logins to Cockpit are signed with, as a JSON Web Key Set.
///
/// For `jetway cockpit setup --host HOST --keys FILE` on a machine that shall not have the configuration file and its secrets.
#[derive(Args, Debug)]
pub(crate) struct KeysArgs {
    /// Configuration file (YAML or JSON).
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// Prints the key set.
///
/// # Errors
/// A file that cannot be used, or one without such a key.
pub(crate) fn run(args: &KeysArgs) -> anyhow::Result<()> {
    let loaded = config::load_and_warn(&args.config)?;
    let key = loaded.config.identity.signing_key.as_ref();
    let keys = key.and_then(|key| verifiable(key.key_set()));
    let keys = keys.context(NO_KEY)?;
    crate::command::print(format!("{keys}\n").as_bytes())
}
