//! Configuration files as the commands read them: with colours where the terminal shows them.

use std::path::Path;

use jetway_config_file::{ConfigFile, Inspection, Unusable, YamlFile, YamlFileError};

use crate::log;
use crate::terminal::Styles;

/// Reads and checks a configuration file, and prints its warnings to standard error.
///
/// # Errors
/// [`Unusable`] with every problem found.
pub(crate) fn load_and_warn(path: &Path) -> Result<ConfigFile, Unusable> {
    accept_with_warnings(jetway_config_file::inspect(path))
}

/// Returns the configuration of a file that has been inspected, and prints its warnings to standard error.
///
/// # Errors
/// [`Unusable`] with every problem found.
pub(crate) fn accept_with_warnings(inspection: Inspection) -> Result<ConfigFile, Unusable> {
    let loaded = inspection.into_parts(Styles::for_stderr().is_coloured())?;
    if !loaded.warnings.is_empty() {
        log::print_message(&loaded.warnings);
    }
    Ok(loaded)
}

/// Reads a configuration file for a command that only evaluates it: secrets are neither read nor needed.
///
/// # Errors
/// As [`load_and_warn`], but for secrets.
pub(crate) fn load_without_secrets(path: &Path) -> Result<ConfigFile, Unusable> {
    jetway_config_file::load_without_secrets(path, Styles::for_stderr().is_coloured())
}

/// Reads another YAML file; `what` names its purpose in messages.
///
/// # Errors
/// A file that cannot be read, or [`Unusable`] for one that is not YAML.
pub(crate) fn open_yaml(what: &str, path: &Path, styles: Styles) -> anyhow::Result<YamlFile> {
    YamlFile::open(what, path, styles.is_coloured()).map_err(|error| match error {
        YamlFileError::Unreadable(error) => error.into(),
        YamlFileError::Unusable(error) => error.into(),
    })
}
