//! Counts how often a plugin calls functions of the host, for measurements.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{Caller, Func, Linker};

use crate::Engine;
use crate::engine::describe;
use crate::module::ModuleError;
use crate::state::State;

/// The number of calls of each function of the host. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub struct CallCounts(Arc<Mutex<BTreeMap<String, u64>>>);

impl CallCounts {
    /// Returns the number of calls since the last time, by the name of the function.
    #[must_use]
    pub fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, function: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(function.to_owned()).or_default();
        *count = count.saturating_add(1);
    }
}

/// Returns a linker whose functions count their calls and then call those of the ABI.
pub(crate) fn counting_linker(
    engine: &Engine,
    module: &wasmtime::Module,
    counts: &CallCounts,
) -> Result<Linker<State>, ModuleError> {
    let mut linker = Linker::new(engine.compiler());
    for import in module.imports() {
        let Some(kind) = import.ty().func().cloned() else {
            continue;
        };
        let (engine, counts) = (engine.clone(), counts.clone());
        let (group, name) = (import.module().to_owned(), import.name().to_owned());
        let call = move |mut caller: Caller<'_, State>, given: &[_], returned: &mut [_]| {
            counts.note(&name);
            let function = find_function(&engine, &mut caller, (&group, &name))?;
            function.call(&mut caller, given, returned)
        };
        linker
            .func_new(import.module(), import.name(), kind, call)
            .map_err(|error| ModuleError::Link(describe(&error)))?;
    }
    Ok(linker)
}

fn find_function(
    engine: &Engine,
    caller: &mut Caller<'_, State>,
    (group, name): (&str, &str),
) -> wasmtime::Result<Func> {
    let found = engine.imports().linker.get(&mut *caller, group, name)?;
    let function = found.into_func();
    function.ok_or_else(|| wasmtime::Error::msg("the import is not a function"))
}
