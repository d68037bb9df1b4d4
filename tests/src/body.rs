//! The two proxies that load the module, started from one and the same file.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use url::Url;

use crate::{Dialer, Installed, Process, eventually, output_of};

/// How long a proxy may take until it accepts connections. Envoy compiles the module first, and other tests run beside.
const START: Duration = Duration::from_secs(40);

/// Which program loads the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `jetway run`.
    Host,
    /// Envoy, configured by `jetway envoy-config`.
    Envoy,
}

impl Body {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Host => Self::Envoy,
            Self::Envoy => Self::Host,
        }
    }

    /// In lower case, for names of files and tests.
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
    /// When it does not start.
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
            body: self,
            listen: start.listen,
            process,
        })
    }
}

/// What a body is started with.
pub(crate) struct Start<'a> {
    pub(crate) installed: &'a Installed,
    pub(crate) folder: &'a Path,
    pub(crate) logs: &'a Path,
    pub(crate) file: &'a Path,
    pub(crate) variables: &'a [(String, String)],
    pub(crate) dialer: &'a Dialer,
    pub(crate) listen: u16,
}

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct Proxy {
    /// Which one.
    pub body: Body,
    /// The port on which it listens.
    pub listen: u16,
    /// The program.
    pub process: Process,
}

fn host_command(start: &Start<'_>) -> Result<Command> {
    let mut command = Command::new(start.installed.jetway()?);
    command
        .args(["run", "-c"])
        .arg(start.file)
        .envs(start.variables.iter().cloned());
    Ok(command)
}

fn envoy_command(start: &Start<'_>) -> Result<Command> {
    let module = start.folder.join("jetway.wasm");
    std::fs::write(
        &module,
        output_of(Command::new(start.installed.jetway()?).arg("filter"))?,
    )?;

    let bootstrap = start.folder.join("envoy.yaml");
    let mut generate = Command::new(start.installed.jetway()?);
    generate
        .args(["envoy-config", "-c"])
        .arg(start.file)
        .arg("--module")
        .arg(&module);
    std::fs::write(
        &bootstrap,
        output_of(generate.envs(start.variables.iter().cloned()))?,
    )?;

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
