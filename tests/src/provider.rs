//! A real, certified OpenID provider on loopback.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use serde_json::{Value, json};
use url::Url;

use crate::{Dialer, Installed, Port, Process, Response, eventually};

/// The provider's program.
const PROGRAM: &str = include_str!("../peers/provider.mjs");

/// A registration of the proxy, named for how it proves itself or for what signs its ID tokens (RS256 otherwise).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
    /// `none`.
    Public,
    /// `private_key_jwt`, with the keys of [`Provider::publish_client_keys`].
    PrivateKeyJwt,
    /// ID tokens with ES256.
    Es256,
    /// ID tokens with EdDSA.
    EdDsa,
}

impl Client {
    /// The client identifier.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Basic => "jetway",
            Self::Post => "jetway-post",
            Self::Public => "jetway-public",
            Self::PrivateKeyJwt => "jetway-jwt",
            Self::Es256 => "jetway-es256",
            Self::EdDsa => "jetway-eddsa",
        }
    }
}

/// How clients learn that the provider has ended somebody's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// By a logout token that names the session.
    BySession,
    /// By a logout token that names the person.
    ByPerson,
    /// Not at all.
    Nothing,
}

/// The proxy, as the provider knows it.
pub(crate) struct Registered {
    /// Connects to the provider.
    pub(crate) dialer: Dialer,
    /// The secret of the proxy's clients.
    pub(crate) client_secret: String,
    /// The addresses of the proxy's public hosts; the first gets the back-channel logouts.
    pub(crate) addresses: Vec<String>,
    /// File with the authority of their certificates.
    pub(crate) authority: PathBuf,
}

/// panva's oidc-provider, as a program that may be started and stopped; its port stays the same.
pub struct Provider {
    /// Under which name the proxy is registered; for the operator's file.
    pub client: Client,
    /// What `SETTINGS` says at the next start, see `tests/peers/provider.mjs`.
    pub settings: Value,
    port: Port,
    folder: PathBuf,
    logs: PathBuf,
    proxy: Registered,
    process: Option<Process>,
}

impl Provider {
    /// Chooses the provider's port and registers the proxy's public origins with it; does not start it.
    ///
    /// # Errors
    /// When its folder cannot be prepared.
    pub(crate) fn prepare(
        folder: &Path,
        logs: &Path,
        installed: &Installed,
        proxy: Registered,
    ) -> Result<Self> {
        let folder = folder.join("provider");
        std::fs::create_dir(&folder)?;
        std::fs::write(folder.join("provider.mjs"), PROGRAM)?;
        // Node.js looks for packages beside the program.
        std::os::unix::fs::symlink(&installed.node_modules, folder.join("node_modules"))?;
        Ok(Self {
            client: Client::Basic,
            settings: json!({}),
            port: Port::reserve()?,
            folder,
            logs: logs.to_owned(),
            proxy,
            process: None,
        })
    }

    /// The issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
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
            .env("CLIENT_SECRET", &self.proxy.client_secret)
            .env("ORIGINS", json!(self.proxy.addresses).to_string())
            .env("AUTHORITY", &self.proxy.authority)
            .env("SETTINGS", self.settings.to_string());
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
        let requests = self.list("requests").await?;
        Ok(requests
            .iter()
            .filter(|request| request["method"] == method && request["path"] == path)
            .count())
    }

    /// How often the provider has given tokens since its start, by `grant_type`.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn count_grants(&self, grant_type: &str) -> Result<usize> {
        let events = self.list("events").await?;
        Ok(events
            .iter()
            .filter(|event| event["event"] == "grant" && event["type"] == grant_type)
            .count())
    }

    /// What came of the requests, see `tests/peers/provider.mjs`.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn events(&self) -> Result<Vec<Value>> {
        self.list("events").await
    }

    /// Replaces the provider's faults; see `tests/peers/provider.mjs`.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn fail(&self, faults: &Value) -> Result<()> {
        self.order("faults", faults).await.map(drop)
    }

    /// Changes settings of the running provider, such as `{"id_token": 5}` for ID tokens that hold for five seconds.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn set(&self, settings: &Value) -> Result<()> {
        self.order("settings", settings).await.map(drop)
    }

    /// Changes what the provider says about somebody, or adds them; `null` takes them away.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn set_user(&self, account: &str, claims: &Value) -> Result<()> {
        self.order("users", &json!({ account: claims }))
            .await
            .map(drop)
    }

    /// Publishes the public keys (a JWK Set) of [`Client::PrivateKeyJwt`].
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn publish_client_keys(&self, keys: &Value) -> Result<()> {
        self.order("client_keys", keys).await.map(drop)
    }

    /// Ends all sessions of somebody at the provider, with the tokens that came of them, and returns how many there were.
    ///
    /// # Errors
    /// When the provider does not answer.
    pub async fn end_sessions(&self, account: &str, told: Told) -> Result<u64> {
        let by = match told {
            Told::BySession => json!("sid"),
            Told::ByPerson => json!("sub"),
            Told::Nothing => Value::Null,
        };
        let answer = self
            .order("end_sessions", &json!({"account": account, "tell": by}))
            .await?;
        answer["ended"]
            .as_u64()
            .context("the provider answers with a number")
    }

    async fn list(&self, what: &str) -> Result<Vec<Value>> {
        match self.control("GET", what, Bytes::new()).await?.json()? {
            Value::Array(list) => Ok(list),
            other => bail!("the provider answers with a list, not {other}"),
        }
    }

    async fn order(&self, what: &str, body: &Value) -> Result<Value> {
        self.control("POST", what, Bytes::from(body.to_string()))
            .await?
            .json()
    }

    async fn control(&self, method: &str, what: &str, body: Bytes) -> Result<Response> {
        let url = Url::parse(&format!("{}/control/{what}", self.issuer()))?;
        let request = http::Request::builder()
            .method(method)
            .uri(url.path())
            .body(body)?;
        self.proxy.dialer.exchange(&url, request).await?.expect(200)
    }
}
