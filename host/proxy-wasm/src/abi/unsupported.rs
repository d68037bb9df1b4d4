//! Shared queues, gRPC calls and foreign functions, which this host does not offer: they return a failure that the SDKs
//! accept. Two small functions for other toolchains are here as well.

use wasmtime::Caller;

use super::Imports;
use crate::state::State;
use crate::status::Status;

const NOT_FOUND: u32 = Status::NotFound as u32;
const FAILURE: u32 = Status::InternalFailure as u32;

pub(super) fn define(imports: &mut Imports) -> wasmtime::Result<()> {
    queues(imports)?;
    grpc(imports)?;
    imports.env(
        "proxy_call_foreign_function",
        |_: Caller<'_, State>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| NOT_FOUND,
    )?;
    imports.env(
        "emscripten_notify_memory_growth",
        |_: Caller<'_, State>, _: u32| {},
    )?;
    imports.env("pthread_equal", |_: Caller<'_, State>, a: u32, b: u32| {
        u32::from(a == b)
    })
}

fn queues(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.env(
        "proxy_register_shared_queue",
        |_: Caller<'_, State>, _: u32, _: u32, _: u32| FAILURE,
    )?;
    imports.env(
        "proxy_resolve_shared_queue",
        |_: Caller<'_, State>, _: u32, _: u32, _: u32, _: u32, _: u32| NOT_FOUND,
    )?;
    imports.env(
        "proxy_enqueue_shared_queue",
        |_: Caller<'_, State>, _: u32, _: u32, _: u32| NOT_FOUND,
    )?;
    imports.env(
        "proxy_dequeue_shared_queue",
        |_: Caller<'_, State>, _: u32, _: u32, _: u32| NOT_FOUND,
    )
}

fn grpc(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.env(
        "proxy_grpc_call",
        |_: Caller<'_, State>,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32| FAILURE,
    )?;
    imports.env(
        "proxy_grpc_stream",
        |_: Caller<'_, State>,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32| FAILURE,
    )?;
    imports.env(
        "proxy_grpc_send",
        |_: Caller<'_, State>, _: u32, _: u32, _: u32, _: u32| NOT_FOUND,
    )?;
    imports.env("proxy_grpc_cancel", |_: Caller<'_, State>, _: u32| {
        NOT_FOUND
    })?;
    imports.env("proxy_grpc_close", |_: Caller<'_, State>, _: u32| NOT_FOUND)
}
