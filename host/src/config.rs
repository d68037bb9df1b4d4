//! The configuration file: read, parsed, checked, and its problems shown where they are.

mod document;
mod report;
mod secret_file;

pub(crate) use report::Unusable;

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::Context as _;
use jetway_core::config::{Config, Loaded, Problem, Warning};
use serde_json::Value;

use crate::file;
use crate::limits;
use document::Document;
use report::Report;

/// A usable configuration and what it was read from. Not `Debug`: `file` holds secrets.
pub(crate) struct ConfigFile {
    /// The configuration.
    pub(crate) config: Config,
    /// The file as JSON, with secret files and environment variables in their places.
    pub(crate) file: Value,
    /// The warnings, ready to print; empty when there are none.
    pub(crate) warnings: String,
}

/// Reads and checks a configuration file, with the process's environment.
///
/// # Errors
/// [`Unusable`] with every problem found, or a file that cannot be read.
pub(crate) fn load(path: &Path) -> anyhow::Result<ConfigFile> {
    let bytes = file::read("configuration", path, limits::CONFIG_FILE)?;
    let text = String::from_utf8(bytes)
        .with_context(|| format!("the configuration `{}` is not UTF-8", path.display()))?;
    let report = Report {
        name: path.display().to_string(),
        text: &text,
        styled: std::io::stderr().is_terminal(),
    };
    read(
        &report,
        &|name| std::env::var(name).ok(),
        file::is_exposed(path),
    )
}

/// [`load`], and the warnings printed to standard error.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_and_warn(path: &Path) -> anyhow::Result<ConfigFile> {
    let loaded = load(path)?;
    if !loaded.warnings.is_empty() {
        eprintln!("{}", loaded.warnings);
    }
    Ok(loaded)
}

fn read(
    report: &Report<'_>,
    variable: &dyn Fn(&str) -> Option<String>,
    exposed: bool,
) -> anyhow::Result<ConfigFile> {
    let document = Document::parse(report.text).map_err(|fault| report.syntax(&fault))?;
    let mut value = document.value();
    let mut warnings = Vec::new();
    if exposed {
        warnings.extend(secret_file::inline_secrets(&value).map(exposed_warning));
    }
    let mut problems = secret_file::resolve(&mut value, &mut warnings);

    let used = RefCell::new(Vec::new());
    let lookup = |name: &str| {
        let found = variable(name)?;
        used.borrow_mut().push((name.to_owned(), found.clone()));
        Some(found)
    };
    match Config::read(&value, &lookup) {
        Ok(Loaded {
            config,
            warnings: more,
        }) if problems.is_empty() => {
            warnings.extend(more);
            override_keys(&mut value, used.into_inner());
            Ok(ConfigFile {
                config,
                file: value,
                warnings: report.warnings(&document, &warnings),
            })
        }
        Ok(Loaded { warnings: more, .. }) => {
            warnings.extend(more);
            Err(report.problems(&document, &problems, &warnings).into())
        }
        Err(refused) => {
            problems.extend(refused.problems);
            warnings.extend(refused.warnings);
            Err(report.problems(&document, &problems, &warnings).into())
        }
    }
}

/// Writes what environment variables override into the file, for those who read the file and have not this environment.
fn override_keys(file: &mut Value, variables: Vec<(String, String)>) {
    let Value::Object(keys) = file else { return };
    for (name, text) in variables {
        keys.retain(|key, _| !key.eq_ignore_ascii_case(&name));
        keys.insert(name.to_ascii_lowercase(), Value::String(text));
    }
}

fn exposed_warning(key: &str) -> Warning {
    Problem::new(
        key,
        format!("`{key}` stands in a file that other users of this machine can read"),
    )
    .help(format!("`chmod 600` the file, or use `{key}_file`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_shown_with_its_line() {
        let text = "routes:\n  - from: ftp://a.example.com\n    to: http://127.0.0.1:1\n";
        let report = Report {
            name: "test.yaml".to_owned(),
            text,
            styled: false,
        };
        let refused = read(&report, &|_| None, false).err().unwrap().to_string();
        assert!(refused.contains("test.yaml:2:"), "{refused}");
        assert!(refused.contains("ftp://a.example.com"), "{refused}");
    }

    #[test]
    fn variables_replace_keys() {
        let mut file = serde_json::json!({"Cookie_Name": "a", "routes": []});
        override_keys(&mut file, vec![("COOKIE_NAME".to_owned(), "b".to_owned())]);
        assert_eq!(file, serde_json::json!({"cookie_name": "b", "routes": []}));
    }

    #[test]
    fn a_syntax_error_has_a_place() {
        let report = Report {
            name: "test.yaml".to_owned(),
            text: "routes:\n  - from: [\n",
            styled: false,
        };
        let refused = read(&report, &|_| None, false).err().unwrap().to_string();
        assert!(refused.contains("test.yaml:"), "{refused}");
    }
}
