//! A real Cockpit, without systemd and D-Bus, and its protocol.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use rustix::process::geteuid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use url::Url;

use crate::socket::{next_payload, send_text};
use crate::{Authority, Channel, Dialer, Port, Process, Response, UnixUser, UserAgent, eventually};

/// The account that may run `cockpit-session`, which is setuid root and executable by this group alone.
pub(crate) const ACCOUNT: &str = "cockpit-wsinstance";

/// Paths of Cockpit's web service in distributions.
const PROGRAMS: [&str; 2] = ["/usr/lib/cockpit/cockpit-ws", "/usr/libexec/cockpit-ws"];

/// How Cockpit's web service is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Over plain HTTP on loopback.
    Plain,
    /// Over plain HTTP on loopback, behind a proxy that speaks TLS (`--for-tls-proxy`).
    ForTlsProxy,
    /// Over TLS on this address of the machine, with a self-signed certificate; plain HTTP is redirected there, except
    /// on loopback.
    Tls(IpAddr),
}

/// How Cockpit's web service is started.
pub struct CockpitSetup<'a> {
    /// How it is reached.
    pub reached: &'a Reached,
    /// The port on which it listens.
    pub port: Port,
    /// Its `cockpit.conf`.
    pub conf: &'a str,
}

impl Reached {
    fn address(&self) -> IpAddr {
        match self {
            Self::Plain | Self::ForTlsProxy => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Self::Tls(address) => *address,
        }
    }

    fn option(&self) -> Option<&'static str> {
        match self {
            Self::Plain => Some("--no-tls"),
            Self::ForTlsProxy => Some("--for-tls-proxy"),
            Self::Tls(_) => None,
        }
    }
}

impl CockpitSetup<'_> {
    fn command(&self, folder: &Path) -> Result<Command> {
        let program = PROGRAMS.into_iter().find(|path| Path::new(path).exists());
        let program = program.context("Cockpit is not installed: run tests/setup.sh")?;
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"])
            // Changing the user clears the signal that ends the program with the test, so it is set again.
            .args(["--pdeathsig", "KILL", "--", program])
            .args(self.reached.option())
            .arg("--address")
            .arg(self.reached.address().to_string())
            .arg("--port")
            .arg(self.port.number().to_string())
            .env("XDG_CONFIG_DIRS", folder)
            .current_dir("/");
        Ok(command)
    }
}

/// Cockpit's web service. Dropping it stops it.
#[derive(Debug)]
pub struct Cockpit {
    _process: Process,
    folder: TempDir,
    _port: Port,
}

impl Cockpit {
    /// Starts Cockpit over plain HTTP on a reserved port with this `cockpit.conf` and waits until it answers.
    ///
    /// # Errors
    /// Returns an error when the caller is not root, or Cockpit is not installed or does not start.
    pub async fn start(port: Port, conf: &str, logs: &Path, dialer: &Dialer) -> Result<Self> {
        let reached = &Reached::Plain;
        let setup = CockpitSetup {
            reached,
            port,
            conf,
        };
        Self::start_as(setup, logs, dialer).await
    }

    /// Starts Cockpit with this setup and waits until it answers.
    ///
    /// # Errors
    /// See [`Cockpit::start`].
    pub async fn start_as(setup: CockpitSetup<'_>, logs: &Path, dialer: &Dialer) -> Result<Self> {
        ensure!(
            geteuid().is_root(),
            "Cockpit has to run as `{ACCOUNT}`, and only root can do that: run the tests as root"
        );
        let folder = configuration_folder(setup.conf)?;
        if matches!(setup.reached, Reached::Tls(_)) {
            write_certificate(folder.path())?;
        }
        let command = setup.command(folder.path())?;
        let (address, port) = (setup.reached.address(), setup.port.number());
        let mut process = Process::start("cockpit", &command, logs)?;
        // Cockpit answers this address without TLS in every mode.
        let ping = Url::parse(&format!("http://{address}:{port}/ping"))?;
        eventually("Cockpit answers", Duration::from_secs(20), async || {
            process.ensure_running()?;
            if !address.is_loopback() {
                // The dialer of the tests connects to loopback only.
                TcpStream::connect((address, port)).await?;
                return Ok(());
            }
            let request = http::Request::get(ping.path()).body(Bytes::new())?;
            dialer.exchange(&ping, request).await?.expect(200)?;
            Ok(())
        })
        .await?;
        Ok(Self {
            _process: process,
            folder,
            _port: setup.port,
        })
    }

    /// Returns the path of its `cockpit.conf`.
    #[must_use]
    pub fn conf(&self) -> PathBuf {
        self.folder.path().join("cockpit/cockpit.conf")
    }
}

/// Creates `DIR/cockpit/cockpit.conf`, readable by Cockpit's account.
fn configuration_folder(conf: &str) -> Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("jetway-cockpit-")
        .tempdir()?;
    let cockpit = folder.path().join("cockpit");
    let file = cockpit.join("cockpit.conf");
    std::fs::create_dir(&cockpit)?;
    std::fs::write(&file, conf)?;
    for (path, mode) in [(folder.path(), 0o755), (&cockpit, 0o755), (&file, 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(folder)
}

/// Writes the certificate that Cockpit reads from `DIR/cockpit/ws-certs.d`.
fn write_certificate(folder: &Path) -> Result<()> {
    let certificates = folder.join("cockpit/ws-certs.d");
    std::fs::create_dir(&certificates)?;
    let issued = Authority::create("Cockpit's own")?.issue(&["localhost"])?;
    for (name, text) in [("0.cert", &issued.chain), ("0.key", &issued.key)] {
        let file = certificates.join(name);
        std::fs::write(&file, text)?;
        // The key may be readable: the folder is removed with the test.
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644))?;
    }
    std::fs::set_permissions(&certificates, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

impl UserAgent {
    /// Logs in to Cockpit below `base` with a password; Cockpit's cookie is stored in the jar.
    ///
    /// # Errors
    /// Returns an error when Cockpit refuses.
    pub async fn log_in_to_cockpit(&mut self, base: &Url, user: &UnixUser) -> Result<()> {
        let basic = BASE64_STANDARD.encode(format!("{}:{}", user.name, user.password));
        let login = self
            .try_to_log_in_to_cockpit(base, &format!("Basic {basic}"))
            .await?
            .expect(200)?;
        ensure!(
            login.json()?["csrf-token"].is_string(),
            "not Cockpit's answer to a login: {}",
            login.text()
        );
        Ok(())
    }

    /// Returns Cockpit's response to a login with this `Authorization`; Cockpit's cookie is stored in the jar.
    ///
    /// # Errors
    /// Returns an error when there is no response.
    pub async fn try_to_log_in_to_cockpit(
        &mut self,
        base: &Url,
        authorization: &str,
    ) -> Result<Response> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization.parse()?);
        let url = base.join("/cockpit/login")?;
        self.send(Method::GET, &url, headers, Bytes::new()).await
    }

    /// Runs a shell command over Cockpit's websocket and returns its output.
    ///
    /// # Errors
    /// Returns an error when the websocket or the command fails.
    pub async fn run_in_cockpit(&mut self, base: &Url, command: &str) -> Result<String> {
        self.spawn_in_cockpit(base, command, json!({})).await
    }

    /// Runs a shell command with the administrative access of a Cockpit session, and returns its output.
    ///
    /// # Errors
    /// Returns an error when there is no session, or it has no such access.
    pub async fn run_as_root_in_cockpit(&mut self, base: &Url, command: &str) -> Result<String> {
        self.spawn_in_cockpit(base, command, json!({"superuser": "require"}))
            .await
    }

    async fn spawn_in_cockpit(
        &mut self,
        base: &Url,
        command: &str,
        mut open: Value,
    ) -> Result<String> {
        let url = base.join("/cockpit/socket")?;
        let mut channel = self.upgrade(&url, Some("cockpit1")).await?.open()?;
        let init =
            control_message(&next_payload(&mut channel).await?)?.context("Cockpit speaks first")?;
        ensure!(
            init["command"] == "init" && init["problem"].is_null(),
            "Cockpit does not begin: {init}"
        );
        send_control(&mut channel, &json!({"command": "init", "version": 1})).await?;
        open["command"] = json!("open");
        open["channel"] = json!("1:1");
        open["payload"] = json!("stream");
        open["spawn"] = json!(["/bin/sh", "-c", command]);
        open["err"] = json!("out");
        send_control(&mut channel, &open).await?;
        send_control(&mut channel, &json!({"command": "done", "channel": "1:1"})).await?;
        output_of_channel(&mut channel).await
    }
}

/// Collects the output of channel `1:1` until it is closed.
async fn output_of_channel(channel: &mut Channel) -> Result<String> {
    let mut output = Vec::new();
    loop {
        let payload = next_payload(channel).await?;
        if let Some(text) = payload.strip_prefix(b"1:1\n") {
            output.extend_from_slice(text);
            continue;
        }
        let Some(control) = control_message(&payload)? else {
            continue;
        };
        if control["command"] == "close" && control["channel"] == "1:1" {
            ensure!(
                control["problem"].is_null(),
                "Cockpit could not run the command: {control}"
            );
            return Ok(String::from_utf8(output)?);
        }
        if control["command"] == "close" {
            bail!("Cockpit ended the session: {control}");
        }
    }
}

async fn send_control(channel: &mut Channel, message: &Value) -> Result<()> {
    send_text(channel, format!("\n{message}")).await
}

/// A message whose channel is empty, which makes it a control message.
fn control_message(payload: &[u8]) -> Result<Option<Value>> {
    payload
        .strip_prefix(b"\n")
        .map(serde_json::from_slice)
        .transpose()
        .context("a control message is JSON")
}
