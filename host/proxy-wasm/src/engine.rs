//! Compiling the plugin's module, once for all workers.

use std::time::Duration;

use anyhow::{Context, bail};
use wasmtime::{Config, Engine, InstancePre, OptLevel};

use super::abi::Imports;
use super::instance;
use super::state::State;

/// How often the clock of the deadlines advances. A deadline is kept to this precision.
pub(super) const EPOCH: Duration = Duration::from_millis(25);
/// Stack of the plugin's own frames. It runs on the worker's thread, whose stack has to be larger by what host calls
/// need; wasmtime's own default.
const STACK_LIMIT: usize = 512 * 1024;
/// Versions of the ABI that this host speaks, as modules announce them.
const ABI_VERSIONS: [&str; 2] = ["proxy_abi_version_0_2_1", "proxy_abi_version_0_2_0"];

/// A compiled module. Cheap to clone; all workers share its code.
#[derive(Clone)]
pub struct Module {
    instantiable: InstancePre<State>,
}

impl Module {
    /// Compiles a WebAssembly module and links it with the functions of the ABI.
    ///
    /// # Errors
    ///
    /// When the bytes are no valid module, when it speaks another version of the ABI, when it lacks its memory or its
    /// allocator, and when it imports what this host does not offer.
    pub fn compile(wasm: &[u8]) -> anyhow::Result<Self> {
        let engine = Engine::new(&configuration())
            .map_err(describe)
            .context("cannot start wasmtime")?;
        let module = wasmtime::Module::from_binary(&engine, wasm)
            .map_err(describe)
            .context("the plugin is not a valid WebAssembly module")?;
        check_exports(&module)?;
        let imports = Imports::all(&engine).map_err(describe)?;
        let unknown = imports.unknown(&module);
        if !unknown.is_empty() {
            bail!(
                "the plugin imports functions that this host does not offer: `{}`",
                unknown.join("`, `")
            );
        }
        let instantiable = imports
            .linker
            .instantiate_pre(&module)
            .map_err(describe)
            .context("the plugin cannot be linked")?;
        start_clock(&engine)?;
        Ok(Self { instantiable })
    }

    /// The module, ready to be instantiated.
    pub(super) fn instantiable(&self) -> &InstancePre<State> {
        &self.instantiable
    }
}

/// An error of wasmtime with its causes on one line.
pub(super) fn describe(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::msg(format!("{error:#}"))
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

fn check_exports(module: &wasmtime::Module) -> anyhow::Result<()> {
    let exports = |name| module.get_export(name).is_some();
    if !ABI_VERSIONS.into_iter().any(exports) {
        bail!(
            "the plugin does not announce a version of proxy-wasm that this host speaks (0.2.0, 0.2.1)"
        );
    }
    if !exports(instance::MEMORY) {
        bail!("the plugin does not export its memory");
    }
    if !instance::ALLOCATORS.into_iter().any(exports) {
        bail!("the plugin exports no allocator (`malloc` or `proxy_on_memory_allocate`)");
    }
    Ok(())
}

/// Advances the clock of the deadlines for as long as the engine lives. It sleeps between the steps and does not catch up, so
/// that a machine which was suspended does not find every deadline missed.
fn start_clock(engine: &Engine) -> anyhow::Result<()> {
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
        .context("cannot start the thread that watches the plugin's deadlines")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every module needs.
    const COMMON: &str = r#"
        (memory (export "memory") 1)
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)"#;

    fn compile(text: &str) -> anyhow::Result<Module> {
        Module::compile(&wat::parse_str(text).unwrap())
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", compile(text).map(drop).unwrap_err())
    }

    #[test]
    fn a_module_is_shared_by_threads() {
        fn shared<T: Clone + Send + Sync>() {}
        shared::<Module>();
        compile(&format!("(module {COMMON})")).unwrap();
    }

    #[test]
    fn every_unknown_import_is_named() {
        let message = refusal(&format!(
            r#"(module
                (import "env" "proxy_get_secret" (func (param i32)))
                (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
                (import "other" "thing" (func))
                {COMMON})"#
        ));
        assert!(
            message.ends_with("`env.proxy_get_secret`, `other.thing`"),
            "{message}"
        );
    }

    #[test]
    fn imports_of_another_type_and_incomplete_modules_are_refused() {
        let message = refusal(&format!(
            r#"(module (import "env" "proxy_log" (func)) {COMMON})"#
        ));
        assert!(message.contains("proxy_log"), "{message}");
        assert!(refusal("(module)").contains("version of proxy-wasm"));
        assert!(
            refusal(r#"(module (func (export "proxy_abi_version_0_2_0")))"#).contains("memory")
        );
        let message = refusal(
            r#"(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_0")))"#,
        );
        assert!(message.contains("allocator"), "{message}");
        assert!(
            format!("{:#}", Module::compile(b"no wasm").map(drop).unwrap_err())
                .contains("not a valid")
        );
    }
}
