//! The functions that the plugin imports, in one file per group. Each function checks its arguments and returns a
//! status that the SDKs accept: any other status makes the Rust SDK panic.

mod buffers;
mod clock;
mod headers;
mod http_call;
mod logging;
mod metrics;
mod properties;
mod shared_data;
mod streams;
mod unsupported;
mod wasi;

use std::collections::HashSet;

use wasmtime::{Engine, IntoFunc, Linker};

use crate::state::State;

/// The functions offered to plugins, by module and name.
pub(crate) struct Imports {
    /// The functions as wasmtime's linker.
    pub linker: Linker<State>,
    names: HashSet<(&'static str, &'static str)>,
}

impl Imports {
    /// Returns all functions of the ABI.
    pub(crate) fn all(engine: &Engine) -> wasmtime::Result<Self> {
        let mut imports = Self {
            linker: Linker::new(engine),
            names: HashSet::new(),
        };
        let define = [
            buffers::define,
            clock::define,
            headers::define,
            http_call::define,
            logging::define,
            metrics::define,
            properties::define,
            shared_data::define,
            streams::define,
            unsupported::define,
            wasi::define,
        ];
        define.iter().try_for_each(|define| define(&mut imports))?;
        Ok(imports)
    }

    /// Returns the imports of the module that do not exist, as `module.name`.
    pub(crate) fn unknown(&self, module: &wasmtime::Module) -> Vec<String> {
        let unknown = module
            .imports()
            .filter(|import| !self.names.contains(&(import.module(), import.name())));
        unknown
            .map(|import| format!("{}.{}", import.module(), import.name()))
            .collect()
    }

    /// Defines a function of proxy-wasm.
    fn env<Params, Args>(
        &mut self,
        name: &'static str,
        function: impl IntoFunc<State, Params, Args>,
    ) -> wasmtime::Result<()> {
        self.add("env", name, function)
    }

    /// Defines a function of WASI under both names that its module has had.
    fn wasi<Params, Args>(
        &mut self,
        name: &'static str,
        function: impl IntoFunc<State, Params, Args> + Copy,
    ) -> wasmtime::Result<()> {
        self.add("wasi_snapshot_preview1", name, function)?;
        self.add("wasi_unstable", name, function)
    }

    fn add<Params, Args>(
        &mut self,
        module: &'static str,
        name: &'static str,
        function: impl IntoFunc<State, Params, Args>,
    ) -> wasmtime::Result<()> {
        self.linker.func_wrap(module, name, function)?;
        self.names.insert((module, name));
        Ok(())
    }
}
