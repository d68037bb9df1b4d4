//! The configuration file: read, parsed, checked, and its problems shown where they are.

mod companion;
mod document;
mod environment;
mod exposure;
mod image_file;
mod inspection;
mod report;
mod route_path;
mod secrecy;
mod secret_file;
mod source;
mod survey;
mod text;
mod value_at;

pub(crate) use companion::Companion;
pub(crate) use inspection::Inspection;
pub(crate) use report::{Told, Unusable};
pub(crate) use route_path::{route_path, written_key};
pub(crate) use survey::{KeyUse, Survey};
pub(crate) use value_at::value_at;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;

use jetway_core::config::Config;
use serde_json::Value;

use crate::log;
use inspection::Secrets;

/// A usable configuration and what it was read from. Not `Debug`: `file` holds secrets.
pub(crate) struct ConfigFile {
    /// The configuration.
    pub(crate) config: Config,
    /// The file as JSON, with secret files and environment variables in their places.
    pub(crate) file: Value,
    /// The warnings, ready to print; empty when there are none.
    pub(crate) warnings: String,
}

/// Reads a configuration file with the process's environment, and tells everything about it.
pub(crate) fn inspect(path: &Path) -> Inspection {
    Inspection::of(path, &variable, Secrets::Read)
}

/// Reads and checks a configuration file, with the process's environment.
///
/// # Errors
/// [`Unusable`] with every problem found.
pub(crate) fn load(path: &Path) -> Result<ConfigFile, Unusable> {
    load_with(path, Secrets::Read)
}

/// [`load`], and the warnings printed to standard error.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_and_warn(path: &Path) -> Result<ConfigFile, Unusable> {
    let loaded = load(path)?;
    if !loaded.warnings.is_empty() {
        log::tell(&loaded.warnings);
    }
    Ok(loaded)
}

/// [`load`] for those who ask what a configuration means: secrets are neither read nor needed.
///
/// # Errors
/// As [`load`], but for secrets.
pub(crate) fn load_without_secrets(path: &Path) -> Result<ConfigFile, Unusable> {
    load_with(path, Secrets::MadeUp)
}

fn load_with(path: &Path, secrets: Secrets) -> Result<ConfigFile, Unusable> {
    let inspection = Inspection::of(path, &variable, secrets);
    let (config, file, warnings) = inspection.into_parts(std::io::stderr().is_terminal())?;
    Ok(ConfigFile {
        config,
        file,
        warnings,
    })
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[cfg(test)]
mod tests;
