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

/// A registration of the proxy, named for its client authentication or for the signature of its ID tokens (RS256
/// otherwise).
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
    /// Returns the client identifier.
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

/// How clients are informed that the provider has ended a user's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// By a logout token that names the session.
    BySession,
    /// By a logout token that names the user.
    ByPerson,
    /// Not at all.
    Nothing,
}

/// The proxy's registration with the provider.
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

/// panva's oidc-provider, as a program that can be started and stopped; its port stays the same.
pub struct Provider {
    /// The proxy's registration, for the operator's file.
    pub client: Client,
    /// The value of `SETTINGS` for the next start, see `tests/peers/provider.mjs`.
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
    /// Returns an error when its folder cannot be prepared.
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

    /// Returns the issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// Starts the provider, with new keys and an empty memory, and waits until it answers.
    ///
    /// # Errors
    /// Returns an error when it does not start.
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

    /// Returns the number of requests with this method and path since the provider's start.
    ///
    /// # Errors
    /// Returns an error when the provider does not answer.
    pub async fn count(&self, method: &str, path: &str) -> Result<usize> {
        let requests = self.list("requests").await?;
        Ok(requests
            .iter()
            .filter(|request| request["method"] == method && request["path"] == path)
            .count())
    }

    /// Returns how often the provider has issued tokens for a `grant_type` since its start.
    ///
    /// # Errors
    /// Returns an error when the provider does not answer.
    pub async fn count_grants(&self, grant_type: &str) -> Result<usize> {
        let events = self.list("events").await?;
        Ok(events
            .iter()
            .filter(|event| event["event"] == "grant" && event["type"] == grant_type)
            .count())
    }

    /// Returns the provider's events, see `tests/peers/provider.mjs`.
    ///
    /// # Errors
    /// Returns an error when the provider does not answer.
    pub async fn events(&self) -> Result<Vec<Value>> {
        self.list("events").await
    }

    /// Replaces the provider's faults; see `tests/peers/provider.mjs`.
    ///
    /// # Errors
    /// Returns an error when the provider does not answer.
    pub async fn fail(&self, faults: &Value) -> Result<()> {
        self.order("faults", faults).await.map(drop)
    }

    /// Changes settings of the running provider, such as `{"id_token": 5}` for ID tokens that are valid for five
    /// seconds.
    ///
    /// # Errors
    /// Returns an error when the provider does not answer.
    pub async fn set(&self, settings: &Value) -> Result<()> {
        self.order("settings", settings).await.map(drop)
    }

    /// Changes the claims of a user, or adds a user; `null` removes the user.
    ///
    /// # Errors
    /// Returns an error when the provider does not answer.
    pub async fn set_user(&self, account: &str, claims: &Value) -> Result<()> {
        self.order("users", &json!({ account: claims }))
            .await
            .map(drop)
    }

    /// Publishes the public keys (a JWK Set) of [`Client::PrivateKeyJwt`].
    ///
    /// # Errors
    /// Returns an error when the provider does not answer.
    pub async fn publish_client_keys(&self, keys: &Value) -> Result<()> {
        self.order("client_keys", keys).await.map(drop)
    }

    /// Ends all sessions of a user at the provider, with their tokens, and returns how many there were.
    ///
    /// # Errors
    /// Returns an error when the provider does not answer.
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
