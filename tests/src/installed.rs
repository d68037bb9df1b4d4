//! The paths of the built programs and the installed peers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Programs that the scenarios run.
#[derive(Debug)]
pub struct Installed {
    jetway: PathBuf,
    /// Envoy.
    pub envoy: PathBuf,
    /// Node.js.
    pub node: PathBuf,
    /// The folder with the packages of `tests/peers/package.json`.
    pub node_modules: PathBuf,
    /// Chromium.
    pub chromium: PathBuf,
    /// Firefox.
    pub firefox: PathBuf,
    /// The root folder in which Glewlwyd and its libraries are unpacked.
    pub glewlwyd: PathBuf,
    promtool: Option<PathBuf>,
    /// The directory in which the proxies of all tests keep the compiled module, so that each starts quickly.
    pub module_cache: PathBuf,
}

impl Installed {
    /// Finds all programs.
    ///
    /// # Errors
    /// Returns an error when one is missing, with the command that installs it.
    pub fn locate() -> Result<Self> {
        let target = target_folder()?;
        let file = target.join("peers/env");
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("`{}` is missing: run tests/setup.sh", file.display()))?;
        let peers: HashMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let peer = |name: &str| -> Result<PathBuf> {
            let path = peers.get(name).map(PathBuf::from);
            match path {
                Some(path) if path.exists() => Ok(path),
                _ => bail!("the peer `{name}` is not installed: run tests/setup.sh"),
            }
        };
        let jetway = match std::env::var_os("JETWAY_BIN") {
            Some(path) => PathBuf::from(path),
            None => target.join("release/jetway"),
        };
        Ok(Self {
            jetway,
            envoy: peer("ENVOY")?,
            node: peer("NODE")?,
            node_modules: peer("NODE_MODULES")?,
            chromium: peer("CHROMIUM")?,
            firefox: peer("FIREFOX")?,
            glewlwyd: peer("GLEWLWYD")?,
            promtool: peer("PROMTOOL").ok(),
            module_cache: target.join("test-modules"),
        })
    }

    /// Returns the binary under test: `JETWAY_BIN`, or the release build.
    ///
    /// # Errors
    /// Returns an error when it is not built.
    pub fn jetway(&self) -> Result<&Path> {
        if !self.jetway.exists() {
            let path = self.jetway.display();
            bail!(
                "`{path}` is missing: run `cargo build --release`, or name another with JETWAY_BIN"
            );
        }
        Ok(&self.jetway)
    }

    /// Returns promtool, Prometheus's checker of metrics and rules.
    ///
    /// # Errors
    /// Returns an error when it is not installed.
    pub fn promtool(&self) -> Result<&Path> {
        let promtool = self.promtool.as_deref();
        promtool.context("the peer `PROMTOOL` is not installed: run tests/setup.sh")
    }

    /// Returns the demo: `JETWAY_DEMO_BIN`, or the one beside the binary under test.
    ///
    /// # Errors
    /// Returns an error when it is not built.
    pub fn demo(&self) -> Result<PathBuf> {
        self.beside("JETWAY_DEMO_BIN", "jetway-demo")
    }

    /// Returns the program that opens Cockpit sessions: `JETWAY_COCKPIT_SESSION_BIN`, or the one beside the binary
    /// under test.
    ///
    /// # Errors
    /// Returns an error when it is not built.
    pub fn cockpit_session(&self) -> Result<PathBuf> {
        self.beside("JETWAY_COCKPIT_SESSION_BIN", "jetway-cockpit-session")
    }

    /// Returns the program that a variable names, or the one of that name beside the binary under test.
    fn beside(&self, variable: &str, name: &str) -> Result<PathBuf> {
        let program = match std::env::var_os(variable) {
            Some(path) => PathBuf::from(path),
            None => self.jetway.with_file_name(name),
        };
        if !program.exists() {
            bail!(
                "`{}` is missing: run `cargo build --release`, or name another with {variable}",
                program.display()
            );
        }
        Ok(program)
    }
}

/// Returns the build folder, found from the running test, which is `TARGET/PROFILE/deps/TEST`.
///
/// # Errors
/// Returns an error when the running program is elsewhere.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let test = std::env::current_exe().context("the running test has no path")?;
    let folder = test
        .ancestors()
        .nth(3)
        .context("the running test is not in a build folder")?;
    Ok(folder.to_path_buf())
}
