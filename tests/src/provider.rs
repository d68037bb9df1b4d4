//! A real, certified OpenID provider on loopback.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde_json::Value;
use url::Url;

use crate::{Dialer, Installed, Port, Process, Response, eventually};

/// The client identifier under which the proxy is registered.
const CLIENT: &str = "jetway";

/// The provider's program.
const PROGRAM: &str = include_str!("../peers/provider.mjs");

/// panva's oidc-provider, as a program that may be started and stopped; its port stays the same.
pub struct Provider {
    port: Port,
    folder: PathBuf,
    logs: PathBuf,
    dialer: Dialer,
    client_secret: String,
    /// Origins of the proxy's public hosts.
    clients: Vec<String>,
    process: Option<Process>,
}

impl Provider {
    /// Chooses the provider's port and registers the proxy's public origins with it; does not start it.
    ///
    /// # Errors
    /// When its folder cannot be prepared.
    pub fn prepare(
        folder: &Path,
        logs: &Path,
        installed: &Installed,
        dialer: Dialer,
        client_secret: &str,
        clients: Vec<String>,
    ) -> Result<Self> {
        let folder = folder.join("provider");
        std::fs::create_dir(&folder)?;
        std::fs::write(folder.join("provider.mjs"), PROGRAM)?;
        // Node.js looks for packages beside the program.
        std::os::unix::fs::symlink(&installed.node_modules, folder.join("node_modules"))?;
        Ok(Self {
            port: Port::reserve()?,
            folder,
            logs: logs.to_owned(),
            dialer,
            client_secret: client_secret.to_owned(),
            clients,
            process: None,
        })
    }

    /// The issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// The client identifier under which the proxy is registered.
    #[must_use]
    pub fn client_id(&self) -> &'static str {
        CLIENT
    }

    /// Starts the provider, with new keys and without memory of an earlier run, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(&mut self, installed: &Installed) -> Result<()> {
        let mut command = Command::new(&installed.node);
        command
            .arg("provider.mjs")
            .current_dir(&self.folder)
            .env("NODE_ENV", "test")
            .env("PORT", self.port.number().to_string())
            .env("CLIENT_ID", CLIENT)
            .env("CLIENT_SECRET", &self.client_secret)
            .env("REDIRECT_URIS", self.below_clients("/.pomerium/callback"))
            .env(
                "POST_LOGOUT_REDIRECT_URIS",
                self.below_clients("/.pomerium/signed_out"),
            );
        let mut process = Process::start("provider", &command, &self.logs)?;
        eventually(
            "the provider answers",
            Duration::from_secs(20),
            async || {
                process.ensure_running()?;
                self.control("GET", "requests", Bytes::new()).await
            },
        )
        .await?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops the provider; its port refuses connections.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// How many requests with this method and path the provider has got since its start.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn count(&self, method: &str, path: &str) -> Result<usize> {
        let requests = self
            .control("GET", "requests", Bytes::new())
            .await?
            .json()?;
        let requests = requests
            .as_array()
            .context("the provider answers with a list")?;
        Ok(requests
            .iter()
            .filter(|request| request["method"] == method && request["path"] == path)
            .count())
    }

    /// Replaces the provider's faults; see `tests/peers/provider.mjs`.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn fail(&self, faults: &Value) -> Result<()> {
        self.control("POST", "faults", Bytes::from(faults.to_string()))
            .await?;
        Ok(())
    }

    /// A path on each of the proxy's public hosts, as a JSON array.
    fn below_clients(&self, path: &str) -> String {
        let addresses: Vec<_> = self
            .clients
            .iter()
            .map(|origin| format!("{origin}{path}"))
            .collect();
        Value::from(addresses).to_string()
    }

    async fn control(&self, method: &str, what: &str, body: Bytes) -> Result<Response> {
        let url = Url::parse(&format!("{}/control/{what}", self.issuer()))?;
        let request = http::Request::builder()
            .method(method)
            .uri(url.path())
            .body(body)?;
        self.dialer.exchange(&url, request).await?.expect(200)
    }
}
