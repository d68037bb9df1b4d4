//! A compiled WebAssembly module.

use wasmtime::{InstancePre, Linker};

use crate::call_counts::{CallCounts, counting_linker};
use crate::engine::{Engine, describe};
use crate::instance::{ALLOCATORS, MEMORY};
use crate::state::State;

/// Versions of the ABI that this host supports, as modules announce them.
const ABI_VERSIONS: [&str; 2] = ["proxy_abi_version_0_2_1", "proxy_abi_version_0_2_0"];

/// A compiled module. It is cheap to clone; all threads share its code.
#[derive(Clone)]
pub struct Module {
    instantiable: InstancePre<State>,
}

/// The reason why a module is refused.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The bytes are not a valid module.
    #[error("not a valid WebAssembly module: {0}")]
    Invalid(String),
    /// The module announces no supported version of the ABI.
    #[error(
        "the module does not announce a version of proxy-wasm that is supported (0.2.0, 0.2.1)"
    )]
    Version,
    /// The module exports no memory.
    #[error("the module does not export its memory")]
    Memory,
    /// The module exports no allocator.
    #[error("the module exports no allocator (`malloc` or `proxy_on_memory_allocate`)")]
    Allocator,
    /// The module imports these functions, which do not exist, as `module.name`.
    #[error("the module imports functions that do not exist: `{}`", .0.join("`, `"))]
    Imports(Vec<String>),
    /// The module imports a function with another type than the ABI's.
    #[error("the module cannot be linked: {0}")]
    Link(String),
}

impl Module {
    /// Compiles a WebAssembly module and links it with the functions of the ABI.
    ///
    /// # Errors
    ///
    /// See [`ModuleError`].
    pub fn compile(engine: &Engine, wasm: &[u8]) -> Result<Self, ModuleError> {
        let module = compile_checked(engine, wasm)?;
        Self::link(&module, &engine.imports().linker)
    }

    /// Compiles a module like [`Module::compile`], and counts the calls of its plugins to functions of the host. That makes each
    /// call slower: it is for measurements.
    ///
    /// # Errors
    ///
    /// See [`ModuleError`].
    pub fn compile_counted(
        engine: &Engine,
        wasm: &[u8],
        counts: &CallCounts,
    ) -> Result<Self, ModuleError> {
        let module = compile_checked(engine, wasm)?;
        let linker = counting_linker(engine, &module, counts)?;
        Self::link(&module, &linker)
    }

    fn link(module: &wasmtime::Module, linker: &Linker<State>) -> Result<Self, ModuleError> {
        let instantiable = linker.instantiate_pre(module);
        let instantiable = instantiable.map_err(|error| ModuleError::Link(describe(&error)))?;
        Ok(Self { instantiable })
    }

    /// Returns the module, ready to be instantiated.
    pub(crate) fn instantiable(&self) -> &InstancePre<State> {
        &self.instantiable
    }
}

fn compile_checked(engine: &Engine, wasm: &[u8]) -> Result<wasmtime::Module, ModuleError> {
    let module = engine
        .compile(wasm)
        .map_err(|error| ModuleError::Invalid(describe(&error)))?;
    check_exports(&module)?;
    let unknown = engine.imports().unknown(&module);
    if unknown.is_empty() {
        Ok(module)
    } else {
        Err(ModuleError::Imports(unknown))
    }
}

fn check_exports(module: &wasmtime::Module) -> Result<(), ModuleError> {
    let exports = |name| module.get_export(name).is_some();
    if !ABI_VERSIONS.into_iter().any(exports) {
        return Err(ModuleError::Version);
    }
    if !exports(MEMORY) {
        return Err(ModuleError::Memory);
    }
    if !ALLOCATORS.into_iter().any(exports) {
        return Err(ModuleError::Allocator);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts that every module needs.
    const COMMON: &str = r#"
        (memory (export "memory") 1)
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)"#;

    fn compile(text: &str) -> Result<Module, ModuleError> {
        Module::compile(&Engine::new().unwrap(), &wat::parse_str(text).unwrap())
    }

    fn refusal(text: &str) -> String {
        compile(text).map(drop).unwrap_err().to_string()
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
        let refused = Module::compile(&Engine::new().unwrap(), b"no wasm").map(drop);
        assert!(matches!(refused, Err(ModuleError::Invalid(_))));
    }
}
