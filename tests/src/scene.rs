//! The environment of one scenario.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use url::Url;

use crate::installed::target_folder;
use crate::provider::Registered;
use crate::proxy::{Start, host_command};
use crate::{
    Certificate, Dialer, Installed, Port, Provider, Proxy, ProxyKind, Route, Secrets, Settings,
    UserAgent, output_of,
};

/// Public host of most scenarios.
pub const APP: &str = "app.localhost";
/// A second public host, to test that hosts are separate.
pub const OTHER: &str = "other.localhost";
/// Public host of Cockpit.
pub const COCKPIT: &str = "cockpit.localhost";
/// A public host for routes with a wildcard in `from`.
pub const WILD: &str = "one.wild.localhost";
/// All hosts with a certificate and a redirect URI at the provider.
pub const HOSTS: [&str; 4] = [APP, OTHER, COCKPIT, WILD];

/// An operator's registration with a provider, without the secret.
#[derive(Clone, Debug)]
pub struct Registration {
    /// `idp_provider`.
    pub kind: &'static str,
    /// The issuer identifier.
    pub issuer: String,
    /// The client identifier.
    pub client_id: String,
}

impl Registration {
    /// Returns a registration with a provider of no particular kind.
    #[must_use]
    pub const fn openid(issuer: String, client_id: String) -> Self {
        Self {
            kind: "oidc",
            issuer,
            client_id,
        }
    }
}

/// Folder, logs, certificate, secrets, public port and provider of one scenario.
pub struct Scene {
    /// The proxy that the scenario runs against.
    pub kind: ProxyKind,
    /// The programs.
    pub installed: Installed,
    /// The OpenID provider. It runs unless the scenario stops it.
    pub provider: Provider,
    /// Another provider for the operator's file, instead of the first.
    pub registration: Option<Registration>,
    /// Secrets of the proxy.
    pub secrets: Secrets,
    /// Further keys of the operator's file, in YAML.
    pub keys: String,
    /// Environment variables of the proxy in addition to those of the secrets.
    pub variables: Vec<(String, String)>,
    /// Limit on open files of the bundled host, if it differs from the system's.
    pub open_files: Option<u64>,
    /// Connects user agents to the proxy.
    pub dialer: Dialer,
    public: Port,
    certificate: Certificate,
    folder: TempDir,
    logs: PathBuf,
    keep_logs: bool,
}

impl Scene {
    /// Prepares a scene. Only the provider is not started yet.
    ///
    /// # Errors
    /// Returns an error when a peer or a built program is missing.
    pub fn new(name: &str, kind: ProxyKind) -> Result<Self> {
        let installed = Installed::locate()?;
        let folder = tempfile::Builder::new().prefix("jetway-test-").tempdir()?;
        let logs = log_folder(&format!("{name}-{}", kind.name()))?;
        let certificate = Certificate::create(folder.path(), &HOSTS)?;
        let dialer = Dialer::new(certificate.authority.clone());
        let secrets = Secrets::draw()?;
        let public = Port::reserve()?;
        let addresses = HOSTS
            .iter()
            .map(|host| format!("https://{host}:{}", public.number()))
            .collect();
        let provider = Provider::prepare(
            folder.path(),
            &logs,
            &installed,
            Registered {
                dialer: dialer.clone(),
                client_secret: secrets.client.clone(),
                addresses,
                authority: certificate.authority_file.clone(),
            },
        )?;
        Ok(Self {
            kind,
            installed,
            provider,
            registration: None,
            secrets,
            keys: String::new(),
            variables: Vec::new(),
            open_files: None,
            dialer,
            public,
            certificate,
            folder,
            logs,
            keep_logs: false,
        })
    }

    /// Starts the scene's proxy with these routes on the public port.
    ///
    /// # Errors
    /// Returns an error when it does not start.
    pub async fn serve(&self, routes: &[Route]) -> Result<Proxy> {
        self.serve_at(self.kind, self.public.number(), routes).await
    }

    /// Starts a proxy with these routes on a given port; the public addresses keep the public port.
    ///
    /// # Errors
    /// Returns an error when it does not start.
    pub async fn serve_at(&self, kind: ProxyKind, listen: u16, routes: &[Route]) -> Result<Proxy> {
        self.start(kind, listen, routes, false).await
    }

    /// Starts the scene's proxy with these routes on the public port, so that [`Scene::reload`] can change them.
    ///
    /// # Errors
    /// Returns an error when it does not start.
    pub async fn serve_reloadable(&self, routes: &[Route]) -> Result<Proxy> {
        self.start(self.kind, self.public.number(), routes, true)
            .await
    }

    /// Changes the routes of a proxy of [`Scene::serve_reloadable`]. They must lead to upstreams that it knows.
    ///
    /// # Errors
    /// Returns an error when they cannot be written.
    pub fn reload(&self, proxy: &Proxy, routes: &[Route]) -> Result<()> {
        let folder = self.folder_of(proxy.kind, proxy.listen)?;
        let file = self.write_file(&folder, proxy.listen, routes)?;
        let variables = self.environment();
        let start = Start {
            reloadable: true,
            ..self.start_of(&folder, &file, &variables, proxy.listen)
        };
        proxy.reload(&start)
    }

    async fn start(
        &self,
        kind: ProxyKind,
        listen: u16,
        routes: &[Route],
        reloadable: bool,
    ) -> Result<Proxy> {
        let folder = self.folder_of(kind, listen)?;
        let file = self.write_file(&folder, listen, routes)?;
        let variables = self.environment();
        let start = Start {
            reloadable,
            ..self.start_of(&folder, &file, &variables, listen)
        };
        kind.start(&start).await
    }

    /// Returns the command that runs the bundled host with these routes on the public port.
    ///
    /// # Errors
    /// Returns an error when its file cannot be written.
    pub(crate) fn host_command(&self, routes: &[Route]) -> Result<Command> {
        let folder = self.folder_of(ProxyKind::Host, self.port())?;
        let file = self.write_file(&folder, self.port(), routes)?;
        let variables = self.environment();
        host_command(&self.start_of(&folder, &file, &variables, self.port()))
    }

    fn folder_of(&self, kind: ProxyKind, listen: u16) -> Result<PathBuf> {
        let folder = self.folder.path().join(format!("{}-{listen}", kind.name()));
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn start_of<'a>(
        &'a self,
        folder: &'a Path,
        file: &'a Path,
        variables: &'a [(String, String)],
        listen: u16,
    ) -> Start<'a> {
        Start {
            installed: &self.installed,
            folder,
            logs: &self.logs,
            file,
            variables,
            open_files: self.open_files,
            dialer: &self.dialer,
            listen,
            reloadable: false,
        }
    }

    /// Writes the file of a running proxy with these routes, without informing the proxy.
    ///
    /// # Errors
    /// Returns an error when it cannot be written.
    pub fn rewrite(&self, proxy: &Proxy, routes: &[Route]) -> Result<PathBuf> {
        let folder = self.folder_of(proxy.kind, proxy.listen)?;
        self.write_file(&folder, proxy.listen, routes)
    }

    /// Returns the output of `jetway COMMAND -c FILE` for these routes; the command may be several words.
    ///
    /// # Errors
    /// Returns an error when the command fails.
    pub fn jetway(&self, command: &str, routes: &[Route]) -> Result<String> {
        let (file, variables) = self.file(routes)?;
        let mut program = Command::new(self.installed.jetway()?);
        program
            .args(command.split(' '))
            .arg("-c")
            .arg(file)
            .envs(variables);
        Ok(String::from_utf8(output_of(&mut program)?)?)
    }

    /// Writes the operator's file with these routes, and returns its path and its environment variables.
    ///
    /// # Errors
    /// Returns an error when it cannot be written.
    pub fn file(&self, routes: &[Route]) -> Result<(PathBuf, Vec<(String, String)>)> {
        let file = self.write_file(self.folder.path(), self.public.number(), routes)?;
        Ok((file, self.environment()))
    }

    /// Returns the environment variables of the proxy.
    fn environment(&self) -> Vec<(String, String)> {
        let secrets = self.secrets.variables().into_iter();
        secrets
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain(self.variables.iter().cloned())
            .collect()
    }

    /// Returns an address on a public host.
    ///
    /// # Errors
    /// Returns an error when the path is not valid in a URL.
    pub fn url(&self, host: &str, path: &str) -> Result<Url> {
        Url::parse(&format!("https://{host}:{}{path}", self.public.number())).context("not a URL")
    }

    /// Returns the public port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.public.number()
    }

    /// Returns a public host with the public port, as browsers write it into `Host`.
    #[must_use]
    pub fn authority(&self, host: &str) -> String {
        format!("{host}:{}", self.port())
    }

    /// Returns a new user agent.
    #[must_use]
    pub fn user_agent(&self) -> UserAgent {
        UserAgent::new(self.dialer.clone())
    }

    /// Returns the authority that has signed the proxy's certificate, in PEM.
    #[must_use]
    pub fn authority_file(&self) -> &Path {
        &self.certificate.authority_file
    }

    /// Returns the scenario's own folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the folder of the logs.
    #[must_use]
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Keeps the logs in the build folder when the scene ends, and returns their path and ends.
    pub(crate) fn keep_logs(&mut self) -> String {
        self.keep_logs = true;
        let mut text = format!("logs are kept in `{}`\n", self.logs.display());
        for entry in std::fs::read_dir(&self.logs)
            .into_iter()
            .flatten()
            .flatten()
        {
            let log = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap_or_default())
                .into_owned();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            text.push_str(&format!(
                "--- the end of {}\n{last}\n",
                entry.file_name().display()
            ));
        }
        text
    }

    fn write_file(&self, folder: &Path, listen: u16, routes: &[Route]) -> Result<PathBuf> {
        let file = folder.join("jetway.yaml");
        let registration = self.registration.clone();
        let registration = registration.unwrap_or_else(|| {
            Registration::openid(self.provider.issuer(), self.provider.client.id().to_owned())
        });
        let settings = Settings {
            listen,
            public: self.public.number(),
            certificate: &self.certificate,
            registration: &registration,
            keys: &self.keys,
            routes,
        };
        std::fs::write(&file, self.secrets.yaml(folder)? + &settings.yaml()?)?;
        Ok(file)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.provider.stop();
        if !self.keep_logs && !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.logs);
        }
    }
}

/// Returns an empty folder for one scenario's logs.
fn log_folder(name: &str) -> Result<PathBuf> {
    let folder = target_folder()?.join("test-logs").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
