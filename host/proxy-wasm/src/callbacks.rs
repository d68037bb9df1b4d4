//! The plugin's callbacks, looked up once. All are optional.

use wasmtime::{AsContextMut, Instance, TypedFunc, WasmParams, WasmResults};

/// A callback, absent if the plugin does not export it.
type Callback<Params, Results = ()> = Option<TypedFunc<Params, Results>>;

/// The callbacks, without their prefix `proxy_on_`.
pub(crate) struct Callbacks {
    pub context_create: Callback<(u32, u32)>,
    pub vm_start: Callback<(u32, u32), u32>,
    pub configure: Callback<(u32, u32), u32>,
    pub tick: Callback<u32>,
    pub request_headers: Callback<(u32, u32, u32), u32>,
    pub request_body: Callback<(u32, u32, u32), u32>,
    pub response_headers: Callback<(u32, u32, u32), u32>,
    pub http_call_response: Callback<(u32, u32, u32, u32, u32)>,
    pub done: Callback<u32, u32>,
    pub log: Callback<u32>,
    pub delete: Callback<u32>,
}

impl Callbacks {
    /// Finds the callbacks in an instance. A callback of an unexpected type is an error.
    pub(crate) fn of(instance: &Instance, mut store: impl AsContextMut) -> Result<Self, String> {
        let store = &mut store;
        Ok(Self {
            context_create: function(instance, store, "proxy_on_context_create")?,
            vm_start: function(instance, store, "proxy_on_vm_start")?,
            configure: function(instance, store, "proxy_on_configure")?,
            tick: function(instance, store, "proxy_on_tick")?,
            request_headers: function(instance, store, "proxy_on_request_headers")?,
            request_body: function(instance, store, "proxy_on_request_body")?,
            response_headers: function(instance, store, "proxy_on_response_headers")?,
            http_call_response: function(instance, store, "proxy_on_http_call_response")?,
            done: function(instance, store, "proxy_on_done")?,
            log: function(instance, store, "proxy_on_log")?,
            delete: function(instance, store, "proxy_on_delete")?,
        })
    }
}

/// Returns the function that the plugin exports under this name, if any.
pub(crate) fn function<Params: WasmParams, Results: WasmResults>(
    instance: &Instance,
    store: &mut impl AsContextMut,
    name: &str,
) -> Result<Callback<Params, Results>, String> {
    let Some(function) = instance.get_func(&mut *store, name) else {
        return Ok(None);
    };
    let typed = function.typed(&*store);
    typed
        .map(Some)
        .map_err(|_| format!("the plugin's function `{name}` has another type than the ABI says"))
}
