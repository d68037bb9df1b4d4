//! A real Cockpit, without systemd and D-Bus, and its protocol.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
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
use url::Url;

use crate::socket::{next_payload, send_text};
use crate::{Channel, Dialer, Port, Process, Response, UnixUser, Visitor, eventually};

/// The account that may run `cockpit-session`, which is setuid root and executable by this group alone.
pub(crate) const ACCOUNT: &str = "cockpit-wsinstance";

/// Where distributions put Cockpit's web service.
const PROGRAMS: [&str; 2] = ["/usr/lib/cockpit/cockpit-ws", "/usr/libexec/cockpit-ws"];

/// Cockpit's web service on loopback, over plain HTTP. Dropping it stops it.
#[derive(Debug)]
pub struct Cockpit {
    _process: Process,
    _folder: TempDir,
    _port: Port,
}

impl Cockpit {
    /// Starts Cockpit on a reserved port with this `cockpit.conf` and waits until it answers.
    ///
    /// # Errors
    /// When this is not root, or Cockpit is not installed or does not start.
    pub async fn start(port: Port, conf: &str, logs: &Path, dialer: &Dialer) -> Result<Self> {
        ensure!(
            geteuid().is_root(),
            "Cockpit has to run as `{ACCOUNT}`, and only root can do that: run the tests as root"
        );
        let program = PROGRAMS.into_iter().find(|path| Path::new(path).exists());
        let program = program.context("Cockpit is not installed: run tests/setup.sh")?;
        let folder = configuration_folder(conf)?;
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"])
            // Changing the user forgets the order to die with the test, so it is given again.
            .args([
                "--pdeathsig",
                "KILL",
                "--",
                program,
                "--no-tls",
                "--address",
                "127.0.0.1",
                "--port",
            ])
            .arg(port.number().to_string())
            .env("XDG_CONFIG_DIRS", folder.path())
            .current_dir("/");
        let mut process = Process::start("cockpit", &command, logs)?;
        let ping = Url::parse(&format!("http://127.0.0.1:{}/ping", port.number()))?;
        eventually("Cockpit answers", Duration::from_secs(20), async || {
            process.ensure_running()?;
            let request = http::Request::get(ping.path()).body(Bytes::new())?;
            dialer.exchange(&ping, request).await?.expect(200)
        })
        .await?;
        Ok(Self {
            _process: process,
            _folder: folder,
            _port: port,
        })
    }
}

/// `DIR/cockpit/cockpit.conf`, readable by Cockpit's account.
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

impl Visitor {
    /// Cockpit's own login, below `base`; its cookie goes to this visitor's jar.
    ///
    /// # Errors
    /// When Cockpit refuses.
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

    /// What Cockpit answers to a login with this `Authorization`; its cookie goes to this visitor's jar.
    ///
    /// # Errors
    /// When there is no answer.
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

    /// Runs a shell command over Cockpit's websocket and returns what it prints.
    ///
    /// # Errors
    /// When the websocket or the command fails.
    pub async fn run_in_cockpit(&mut self, base: &Url, command: &str) -> Result<String> {
        let url = base.join("/cockpit/socket")?;
        let mut channel = self.upgrade(&url, Some("cockpit1")).await?.open()?;
        let init =
            control_message(&next_payload(&mut channel).await?)?.context("Cockpit speaks first")?;
        ensure!(
            init["command"] == "init" && init["problem"].is_null(),
            "Cockpit does not begin: {init}"
        );
        send_control(&mut channel, &json!({"command": "init", "version": 1})).await?;
        let spawn = json!({
            "command": "open", "channel": "1:1", "payload": "stream", "spawn": ["/bin/sh", "-c", command], "err": "out",
        });
        send_control(&mut channel, &spawn).await?;
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
