//! What all workers are made from.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jetway_core::config::Config;
use jetway_core::contract::SECRET_VARIABLES;
use jetway_core::secret::Secret;
use rustls::ServerConfig;
use serde_json::Value;

use super::shared_limits::SharedLimits;
use crate::callouts::ProviderAccess;
use crate::limits::Budget;
use crate::tls::{Certificates, Roots};
use crate::upstream::Routes;
use crate::wasm::{Engine, Module, PluginConfig, Shared};

/// What a proxy is started with.
pub struct Settings {
    /// The configuration, as [`Config::read`] returned it.
    pub config: Config,
    /// The file that `config` was read from, as JSON: the plugin's configuration. Secrets in it are not passed on from
    /// here; the plugin gets them from `config`, as environment variables.
    pub file: Value,
    /// Certificates of the listener, or plain HTTP.
    pub certificates: Certificates,
    /// Where to listen; port 0 lets the system choose. [`super::addresses`] makes them from text.
    pub addresses: Vec<SocketAddr>,
    /// Threads, each with its own listener, plugin instance and upstream connections.
    pub workers: NonZeroUsize,
    /// The proxy-wasm module that decides, as WebAssembly.
    pub module: &'static [u8],
    /// How the plugin's calls reach the provider.
    pub provider_access: ProviderAccess,
    /// Limit on open files, from which the limits on connections follow: [`crate::limits::raise_open_files`].
    pub open_files: u64,
}

/// Immutable, shared by all workers.
pub(super) struct Common {
    pub(super) config: Config,
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Whether clients are asked for certificates.
    pub(super) is_mutual: bool,
    pub(super) module: Module,
    pub(super) shared: Shared,
    pub(super) limits: Arc<SharedLimits>,
    pub(super) provider_access: ProviderAccess,
    /// Where the settings want to listen.
    pub(super) addresses: Vec<SocketAddr>,
    plugin_configuration: Vec<u8>,
    plugin_variables: Vec<(String, Secret)>,
}

/// What a reload keeps.
struct Kept {
    module: Module,
    shared: Shared,
    limits: Arc<SharedLimits>,
}

impl Common {
    /// Does everything that is done once: certificates, the module's compilation.
    pub(super) fn prepare(settings: Settings) -> anyhow::Result<Self> {
        let open_files = settings.open_files;
        let (workers, addresses) = (settings.workers.get(), settings.addresses.len());
        let budget = Budget::new(open_files, workers, addresses)?;
        let Budget {
            clients,
            upstreams,
            provider,
        } = budget;
        tracing::info!(
            open_files,
            clients,
            upstreams,
            provider,
            "connection limits"
        );
        let module = Module::compile(&Engine::new()?, settings.module);
        let module = module.context("cannot compile the module")?;
        let kept = Kept {
            module,
            shared: Shared::default(),
            limits: SharedLimits::new(&budget),
        };
        Self::with(kept, settings)
    }

    /// The same for settings that follow earlier ones. The module stays as it is compiled, and what all its instances share
    /// is shared by those of both.
    pub(super) fn prepare_after(earlier: &Self, mut settings: Settings) -> anyhow::Result<Self> {
        // The listener stays where it is until a restart, and the module has to know by which port browsers come.
        let listening = &earlier.config.listener.address;
        settings.config.listener.address.clone_from(listening);
        let kept = Kept {
            module: earlier.module.clone(),
            shared: earlier.shared.clone(),
            limits: Arc::clone(&earlier.limits),
        };
        Self::with(kept, settings)
    }

    fn with(kept: Kept, settings: Settings) -> anyhow::Result<Self> {
        let Kept {
            module,
            shared,
            limits,
        } = kept;
        let is_mutual = matches!(settings.certificates, Certificates::MutualTls(..));
        let tls = settings.certificates.server_config()?;
        // Each worker makes its own; these are for the errors, and for who wants to know which files were read.
        Routes::new(
            &settings.config.routes,
            &Roots::default(),
            &limits.upstreams,
        )?;
        Ok(Self {
            tls,
            is_mutual,
            module,
            shared,
            limits,
            addresses: settings.addresses,
            provider_access: settings.provider_access,
            plugin_configuration: plugin_configuration(
                settings.file,
                &settings.config.listener.address,
            )?,
            plugin_variables: plugin_variables(&settings.config),
            config: settings.config,
        })
    }

    /// What one worker's plugin is told.
    pub(super) fn plugin(&self) -> PluginConfig {
        PluginConfig {
            name: "jetway".to_owned(),
            root_id: "jetway".to_owned(),
            vm_id: "jetway".to_owned(),
            vm_configuration: Vec::new(),
            configuration: self.plugin_configuration.clone(),
            variables: self
                .plugin_variables
                .iter()
                .map(|(name, value)| (name.clone(), value.expose().to_vec()))
                .collect(),
        }
    }
}

/// The file without its secrets, and with the address of the listener.
fn plugin_configuration(mut file: Value, listening: &str) -> anyhow::Result<Vec<u8>> {
    const ADDRESS: &str = "address";
    if let Value::Object(keys) = &mut file {
        keys.retain(|key, _| {
            let is_secret = SECRET_VARIABLES
                .iter()
                .any(|(secret, _)| key.eq_ignore_ascii_case(secret));
            !is_secret && !key.eq_ignore_ascii_case(ADDRESS)
        });
        keys.insert(ADDRESS.to_owned(), listening.into());
    }
    Ok(serde_json::to_vec(&file)?)
}

/// The plugin's environment: the secrets, as the configuration has them.
fn plugin_variables(config: &Config) -> Vec<(String, Secret)> {
    let present = SECRET_VARIABLES
        .into_iter()
        .filter_map(|(key, variable)| Some((variable, secret(config, key)?)));
    present
        .map(|(variable, secret)| (variable.to_owned(), secret))
        .collect()
}

fn secret(config: &Config, key: &str) -> Option<Secret> {
    match key {
        "cookie_secret" => {
            let bytes = config.session.secret.as_ref()?;
            Some(Secret::new(STANDARD.encode(bytes.expose()).into_bytes()))
        }
        "cookie_secret_previous" => {
            let secrets = config.session.previous_secrets.iter();
            let texts: Vec<String> = secrets
                .map(|secret| STANDARD.encode(secret.expose()))
                .collect();
            let joined = texts.join(",");
            (!joined.is_empty()).then(|| Secret::new(joined.into_bytes()))
        }
        "idp_client_secret" => config
            .provider
            .as_ref()
            .map(|provider| provider.client_secret.clone())
            .filter(|secret| !secret.is_empty()),
        "idp_client_private_key" => config
            .provider
            .as_ref()
            .and_then(|provider| provider.client_private_key_text.clone()),
        "signing_key" => config.identity.signing_key_text.clone(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file() -> Value {
        json!({
            "idp_provider": "oidc",
            "idp_provider_url": "https://idp.example.com",
            "idp_client_id": "jetway",
            "idp_client_secret": "client-s3cret",
            "Cookie_Secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
            "insecure_server": true,
            "routes": [{"from": "https://a.example.com", "to": "http://127.0.0.1:1",
                "policy": [{"allow": {"or": [{"email": {"is": "alice@example.com"}}]}}]}],
        })
    }

    #[test]
    fn the_plugin_configuration_has_no_secret() {
        let text = String::from_utf8(plugin_configuration(file(), ":8443").unwrap()).unwrap();
        assert!(text.contains("idp.example.com"));
        assert!(!text.contains("s3cret") && !text.contains("AQEB"), "{text}");
    }

    #[test]
    fn the_plugin_gets_secrets_as_variables() {
        let config = Config::read(&file(), &|_| None).unwrap().config;
        let variables = plugin_variables(&config);
        let shown: Vec<(&str, &[u8])> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        let expected: [(&str, &[u8]); 2] = [
            (
                "COOKIE_SECRET",
                b"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
            ),
            ("IDP_CLIENT_SECRET", b"client-s3cret"),
        ];
        assert_eq!(shown, expected);
    }
}
