//! The two proxies that load the module, started from the same file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use url::Url;

use crate::{Dialer, Installed, Process, eventually, output_of};

/// Time for a proxy to accept connections. Envoy compiles the module first, and other tests run at the same time: on two busy
/// cores that has taken 40 seconds.
const START: Duration = Duration::from_secs(100);

/// The kind of proxy that loads the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// `jetway run`.
    Host,
    /// Envoy, configured by `jetway envoy-config`.
    Envoy,
}

impl ProxyKind {
    /// Returns the other kind.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Host => Self::Envoy,
            Self::Envoy => Self::Host,
        }
    }

    /// Returns its name in lower case, for names of files and tests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Envoy => "envoy",
        }
    }

    /// Starts the proxy from an operator's file and waits until it speaks TLS.
    ///
    /// # Errors
    /// Returns an error when it does not start.
    pub(crate) async fn start(self, start: &Start<'_>) -> Result<Proxy> {
        let command = match self {
            Self::Host => host_command(start)?,
            Self::Envoy => envoy_command(start)?,
        };
        let mut process = Process::start(self.name(), &command, start.logs)?;
        let url = Url::parse(&format!("https://{}:{}/", crate::APP, start.listen))?;
        eventually(
            &format!("{self:?} accepts connections"),
            START,
            async || {
                process.ensure_running()?;
                start.dialer.open(&url, "http/1.1").await
            },
        )
        .await?;
        Ok(Proxy {
            kind: self,
            listen: start.listen,
            process,
        })
    }
}

/// The parameters with which a proxy is started.
pub(crate) struct Start<'a> {
    pub(crate) installed: &'a Installed,
    pub(crate) folder: &'a Path,
    pub(crate) logs: &'a Path,
    pub(crate) file: &'a Path,
    pub(crate) variables: &'a [(String, String)],
    /// Limit on open files of the bundled host.
    pub(crate) open_files: Option<u64>,
    pub(crate) dialer: &'a Dialer,
    pub(crate) listen: u16,
    /// Whether the file may change while the proxy runs.
    pub(crate) reloadable: bool,
}

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct Proxy {
    /// Its kind.
    pub kind: ProxyKind,
    /// The port on which it listens.
    pub listen: u16,
    /// The program.
    pub process: Process,
}

impl Proxy {
    /// Makes a reloadable proxy read its file again.
    ///
    /// # Errors
    /// Returns an error when it has ended, or its new configuration cannot be generated.
    pub(crate) fn reload(&self, start: &Start<'_>) -> Result<()> {
        match self.kind {
            ProxyKind::Host => self.process.hang_up(),
            ProxyKind::Envoy => Split::of(&envoy_config(start)?)?.put(start.folder),
        }
    }
}

/// Name of the file with Envoy's listener, if that may change.
const LISTENER: &str = "listener.yaml";

/// Envoy's configuration in two parts: only the listener can change while Envoy runs, which reads it from a separate
/// file.
struct Split {
    bootstrap: String,
    listener: String,
}

impl Split {
    fn of(bootstrap: &str) -> Result<Self> {
        let (head, rest) = bootstrap
            .split_once("  listeners:\n")
            .context("the bootstrap has listeners")?;
        let (listener, clusters) = rest
            .split_once("\n  clusters:\n")
            .context("clusters follow the listeners")?;
        let kind = "type.googleapis.com/envoy.config.listener.v3.Listener";
        let listener = listener.replacen("    - ", &format!("    - \"@type\": {kind}\n      "), 1);
        Ok(Self {
            bootstrap: format!("{head}  clusters:\n{clusters}"),
            listener: format!("resources:\n{listener}\n"),
        })
    }

    /// Moves the listener to its path, where Envoy detects the change.
    fn put(&self, folder: &Path) -> Result<()> {
        let new = folder.join("listener.new");
        std::fs::write(&new, &self.listener)?;
        std::fs::rename(&new, folder.join(LISTENER)).context("the listener's file")
    }

    /// Returns the rest of the configuration.
    fn whole(&self, folder: &Path) -> String {
        let listener = folder.join(LISTENER);
        format!(
            "{}\ndynamic_resources:\n  lds_config:\n    path_config_source: {{path: '{}'}}\n",
            self.bootstrap,
            listener.display()
        )
    }
}

pub(crate) fn host_command(start: &Start<'_>) -> Result<Command> {
    let jetway = start.installed.jetway()?;
    let mut command = match start.open_files {
        Some(limit) => {
            let mut limited = Command::new("prlimit");
            limited.arg(format!("--nofile={limit}")).arg(jetway);
            limited
        }
        None => Command::new(jetway),
    };
    command
        .args(["run", "-c"])
        .arg(start.file)
        .arg("--module-cache")
        .arg(&start.installed.module_cache)
        .envs(start.variables.iter().cloned());
    Ok(command)
}

fn envoy_command(start: &Start<'_>) -> Result<Command> {
    std::fs::write(
        module(start),
        output_of(Command::new(start.installed.jetway()?).arg("module"))?,
    )?;

    let bootstrap = start.folder.join("envoy.yaml");
    let mut config = envoy_config(start)?;
    if start.reloadable {
        let split = Split::of(&config)?;
        split.put(start.folder)?;
        config = split.whole(start.folder);
    }
    std::fs::write(&bootstrap, config)?;

    let mut command = Command::new(&start.installed.envoy);
    command
        .arg("-c")
        .arg(&bootstrap)
        .args([
            "--disable-hot-restart",
            "--concurrency",
            "2",
            "--log-level",
            "info",
        ])
        .envs(start.variables.iter().cloned());
    Ok(command)
}

/// Returns the path of Envoy's copy of the module.
fn module(start: &Start<'_>) -> PathBuf {
    start.folder.join("jetway.wasm")
}

/// Returns the output of `jetway envoy-config` for the operator's file.
fn envoy_config(start: &Start<'_>) -> Result<String> {
    let mut generate = Command::new(start.installed.jetway()?);
    generate
        .args(["envoy-config", "-c"])
        .arg(start.file)
        .arg("--module")
        .arg(module(start));
    let config = output_of(generate.envs(start.variables.iter().cloned()))?;
    Ok(String::from_utf8(config)?)
}
