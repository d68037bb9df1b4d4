//! The proxy-wasm face of Jetway: it builds requests from header maps, calls the core, and performs the steps it returns.
//!
//! This crate decides nothing. It reads header values as bytes everywhere: the string accessors of the SDK abort the
//! module on a value that is not UTF-8, which any client can send.

#![expect(
    missing_docs,
    reason = "the only public item is the entry point that the SDK generates"
)]

mod http;
mod perform;
mod plugin;
mod root;

use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

/// The allocator of the module: a request allocates some dozens of short strings, for which the one of the C library costs more.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::<root::Root>::default() });
}}
