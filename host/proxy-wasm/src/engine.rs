//! The state that all modules of a process share: the compiler, the functions of the ABI and the deadline clock.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Config, OptLevel};

use crate::abi::Imports;
use crate::module_cache::ModuleCache;

/// Step of the deadline clock, and so the precision of deadlines.
pub(crate) const EPOCH: Duration = Duration::from_millis(25);
/// Stack size for a plugin's own frames: wasmtime's default. A plugin runs on the stack of its thread, which has to be
/// larger by the stack that host calls need.
const STACK_LIMIT: usize = 512 * 1024;

/// Compiles modules and enforces the deadlines of their plugins. It is cheap to clone; a process needs one.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    imports: Arc<Imports>,
    cache: Option<ModuleCache>,
}

/// An engine could not be created.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Wasmtime does not support this machine.
    #[error("cannot start wasmtime: {0}")]
    Wasmtime(String),
    /// The thread of the deadline clock cannot be started.
    #[error("cannot start the thread that watches the deadlines of plugins")]
    Clock(#[source] std::io::Error),
}

impl Engine {
    /// Starts an engine and the thread of its clock. The thread ends with the last engine and module.
    ///
    /// # Errors
    ///
    /// See [`EngineError`].
    pub fn new() -> Result<Self, EngineError> {
        let failed = |error| EngineError::Wasmtime(describe(&error));
        let engine = wasmtime::Engine::new(&configuration()).map_err(failed)?;
        let imports = Arc::new(Imports::all(&engine).map_err(failed)?);
        start_clock(&engine).map_err(EngineError::Clock)?;
        Ok(Self {
            engine,
            imports,
            cache: None,
        })
    }

    /// Keeps compiled modules in this directory, from which a later process reads them instead of compiling.
    #[must_use]
    pub fn with_cache(self, cache: ModuleCache) -> Self {
        Self {
            cache: Some(cache),
            ..self
        }
    }

    /// Returns the compiler.
    pub(crate) fn compiler(&self) -> &wasmtime::Engine {
        &self.engine
    }

    /// Compiles a module, or reads its compiled form from the cache.
    pub(crate) fn compile(&self, wasm: &[u8]) -> wasmtime::Result<wasmtime::Module> {
        match &self.cache {
            Some(cache) => cache.compile(&self.engine, wasm),
            None => wasmtime::Module::from_binary(&self.engine, wasm),
        }
    }

    /// Returns the functions that modules may import.
    pub(crate) fn imports(&self) -> &Imports {
        &self.imports
    }
}

/// Formats an error of wasmtime with its causes on one line.
pub(crate) fn describe(error: &wasmtime::Error) -> String {
    format!("{error:#}")
}

fn configuration() -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .parallel_compilation(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_LIMIT);
    config
}

/// Advances the deadline clock for as long as the engine exists. The clock sleeps between steps and does not catch up,
/// so that deadlines do not expire at once after the machine was suspended.
fn start_clock(engine: &wasmtime::Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    let clock = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(EPOCH);
        }
    };
    std::thread::Builder::new()
        .name("plugin-clock".to_owned())
        .spawn(clock)
        .map(drop)
}
