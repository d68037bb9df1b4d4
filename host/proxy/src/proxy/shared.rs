//! The part of a proxy that all workers share under one configuration.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use jetway_core::config::{Config, Monitoring};
use jetway_core::secret::Secret;
use rustls::ServerConfig;

use super::process_facts::RunningProcess;
use super::readings::describe_configuration;
use super::shared_limits::SharedLimits;
use super::{Settings, plugin_config};
use crate::callouts::ProviderAccess;
use crate::limits::Budget;
use crate::metrics::ConfigurationReading;
use crate::tls::{Certificates, Roots, TicketKeys};
use crate::upstream::Routes;
use crate::wasm::{Engine, Module, ModuleCache, PluginConfig, Shared};

/// The immutable part of a proxy, which all workers share.
pub(crate) struct ProxyShared {
    pub(super) config: Config,
    pub(super) tls: Option<Arc<ServerConfig>>,
    tickets: TicketKeys,
    /// Whether clients are asked for certificates.
    pub(super) is_mutual: bool,
    pub(super) module: Module,
    /// The data that all instances of the module share.
    pub(super) data: Shared,
    pub(super) limits: Arc<SharedLimits>,
    pub(super) provider_access: ProviderAccess,
    /// The addresses that the settings name.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The process that serves this configuration.
    pub(crate) process: RunningProcess,
    /// The configuration as metrics and status describe it.
    pub(super) configuration: ConfigurationReading,
    plugin_configuration: Vec<u8>,
    plugin_variables: Vec<(String, Secret)>,
}

/// The part that a reload keeps.
struct KeptParts {
    tickets: TicketKeys,
    module: Module,
    data: Shared,
    limits: Arc<SharedLimits>,
}

/// Compiles the module, or reads its compiled form. Without a usable directory the proxy starts, and says why it starts slowly.
fn compile_module(settings: &Settings) -> anyhow::Result<Module> {
    let mut engine = Engine::new()?;
    if let Some(directory) = &settings.module_cache {
        match ModuleCache::open(directory) {
            Ok(cache) => engine = engine.with_cache(cache),
            Err(error) => {
                let error = anyhow::Error::from(error);
                tracing::warn!("the compiled module is not kept for the next start: {error:#}");
            }
        }
    }
    Module::compile(&engine, settings.module).context("cannot compile the module")
}

impl ProxyShared {
    /// Does everything that is done once per process: reads certificates and compiles the module.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn prepare(settings: Settings) -> anyhow::Result<Self> {
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
        let kept = KeptParts {
            tickets: TicketKeys::generate()?,
            module: compile_module(&settings)?,
            data: Shared::default(),
            limits: SharedLimits::new(&budget),
        };
        Self::build(kept, settings)
    }

    /// Prepares settings that follow earlier ones. The compiled module and the data that its instances share are kept, so that
    /// instances of both configurations share them.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn prepare_after(earlier: &Self, mut settings: Settings) -> anyhow::Result<Self> {
        // The listener keeps its address until a restart, and the module has to know the port that browsers use.
        let listening = &earlier.config.listener.address;
        settings.config.listener.address.clone_from(listening);
        // The threads of the workers are started once.
        settings.workers = earlier.process.workers;
        let kept = KeptParts {
            tickets: earlier.tickets.clone(),
            module: earlier.module.clone(),
            data: Shared {
                activity: earlier.data.activity.of_one_more(),
                ..earlier.data.clone()
            },
            limits: Arc::clone(&earlier.limits),
        };
        Self::build(kept, settings)
    }

    fn build(kept: KeptParts, settings: Settings) -> anyhow::Result<Self> {
        let KeptParts {
            tickets,
            module,
            data,
            limits,
        } = kept;
        let config = settings.config;
        let is_mutual = matches!(settings.certificates, Certificates::MutualTls(..));
        let tls = settings.certificates.server_config(&tickets)?;
        // Each worker builds its own routes. These only report errors, and record which files are read.
        Routes::new(&config.routes, &Roots::default(), &limits.upstreams)?;
        let listening = &config.listener.address;
        let plugin_configuration = plugin_config::encode_configuration(settings.file, listening)?;
        let routes = config.routes.len();
        let validities = settings.certificates.validities();
        Ok(Self {
            process: RunningProcess {
                facts: settings.process,
                workers: settings.workers,
            },
            configuration: describe_configuration(&plugin_configuration, routes, validities),
            tls,
            tickets,
            is_mutual,
            module,
            data,
            limits,
            addresses: settings.addresses,
            provider_access: settings.provider_access,
            plugin_configuration,
            plugin_variables: plugin_config::read_variables(&config),
            config,
        })
    }

    /// Returns the number of plugin instances that exist under this configuration.
    pub(crate) fn live_instances(&self) -> u64 {
        self.data.activity.instances()
    }

    /// Returns the listeners for metrics, probes and operators.
    pub(crate) fn monitoring(&self) -> &Monitoring {
        &self.config.monitoring
    }

    /// Returns the configuration of one worker's plugin.
    pub(super) fn plugin_config(&self) -> PluginConfig {
        let variables = self.plugin_variables.iter();
        PluginConfig {
            name: "jetway".to_owned(),
            root_id: "jetway".to_owned(),
            vm_id: "jetway".to_owned(),
            vm_configuration: Vec::new(),
            configuration: self.plugin_configuration.clone(),
            variables: variables
                .map(|(name, value)| (name.clone(), value.expose().to_vec()))
                .collect(),
        }
    }
}
