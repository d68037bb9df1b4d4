//! Reads Jetway's configuration file (YAML or JSON) and reports every problem at its line.
//!
//! [`load`] returns a configuration that can be used, [`inspect`] one with all its findings. [`YamlFile`] reads other YAML
//! files with the same parser and the same reports. Secret files and environment variables are put in the places of the keys
//! that they stand for, because the module reads JSON and no files.
#![forbid(unsafe_code)]

mod document;
mod environment;
pub mod file;
mod file_permissions;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod image_file;
mod inspection;
mod key_usage;
mod redaction;
mod report;
mod route_path;
mod secret_file;
mod source;
pub mod terminal;
mod text;
mod value_at;
mod yaml_file;

pub use inspection::Inspection;
pub use key_usage::{KeyUsage, UsedKey};
pub use report::{JsonFinding, Unusable};
pub use route_path::{find_key, route_path};
pub use value_at::value_at;
pub use yaml_file::{YamlFile, YamlFileError};

use std::ffi::OsString;
use std::path::Path;

use jetway_core::config::Config;
use serde_json::Value;

use inspection::Secrets;

/// A usable configuration and what it was read from. Not `Debug`: `file` holds secrets.
pub struct ConfigFile {
    /// The configuration.
    pub config: Config,
    /// The file as JSON, with secret files and environment variables in their places.
    pub file: Value,
    /// The warnings, ready to print; empty when there are none.
    pub warnings: String,
}

/// Reads a configuration file with the process's environment, and reports everything about it.
#[must_use]
pub fn inspect(path: &Path) -> Inspection {
    Inspection::of(path, &variable, Secrets::Read)
}

/// Reads and checks a configuration file, with the process's environment. `styled` gives the report colours.
///
/// # Errors
/// [`Unusable`] with every problem found.
pub fn load(path: &Path, styled: bool) -> Result<ConfigFile, Unusable> {
    Inspection::of(path, &variable, Secrets::Read).into_parts(styled)
}

/// Reads a configuration file for commands that only evaluate it: secrets are neither read nor needed.
///
/// # Errors
/// As [`load`], but for secrets.
pub fn load_without_secrets(path: &Path, styled: bool) -> Result<ConfigFile, Unusable> {
    Inspection::of(path, &variable, Secrets::MadeUp).into_parts(styled)
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[cfg(test)]
mod tests;
