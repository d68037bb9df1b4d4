//! `jetway cockpit keys`: prints the public keys with which another machine verifies logins.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::trusted::{NO_KEY, require_es256};
use crate::config;

/// Print the public keys that verify logins to Cockpit, as a JSON Web Key Set.
///
/// For `jetway cockpit setup --host HOST --keys FILE` on a machine that must not hold the configuration file and its secrets.
#[derive(Args, Debug)]
pub(crate) struct KeysArgs {
    /// Configuration file (YAML or JSON).
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// Prints the key set.
///
/// # Errors
/// A file that cannot be used, or has no such key.
pub(crate) fn run(args: &KeysArgs) -> anyhow::Result<()> {
    let loaded = config::load_and_warn(&args.config)?;
    let key = loaded.config.identity.signing_key.as_ref();
    let keys = key.and_then(|key| require_es256(key.key_set()));
    let keys = keys.context(NO_KEY)?;
    crate::command::print(format!("{keys}\n").as_bytes())
}
