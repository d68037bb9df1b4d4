//! `proxy_get_property`, `proxy_set_property`.

use wasmtime::Caller;

use super::Imports;
use crate::guest::{self, Slots, Span, parts};
use crate::property;
use crate::state::State;
use crate::status::{Failure, Status, code, code_or_trap};

pub(super) fn define(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.env(
        "proxy_get_property",
        |mut caller: Caller<'_, State>, path: u32, path_size: u32, data: u32, size: u32| {
            let path = Span {
                address: path,
                size: path_size,
            };
            code_or_trap(read(&mut caller, path, Slots { data, size }))
        },
    )?;
    imports.env(
        "proxy_set_property",
        |mut caller: Caller<'_, State>, path: u32, path_size: u32, value: u32, value_size: u32| {
            let value = Span {
                address: value,
                size: value_size,
            };
            code(write(
                &mut caller,
                Span {
                    address: path,
                    size: path_size,
                },
                value,
            ))
        },
    )
}

fn read(caller: &mut Caller<'_, State>, path: Span, slots: Slots) -> Result<(), Failure> {
    let (memory, state) = parts(caller)?;
    let value = property::find(state, path.of(memory)?).ok_or(Status::NotFound)?;
    guest::give_bytes(caller, slots, &value)
}

fn write(caller: &mut Caller<'_, State>, path: Span, value: Span) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    let (path, value) = (path.of(memory)?, value.of(memory)?);
    let stream = state.stream_mut().ok_or(Status::NotFound)?;
    if !stream.set_property(path, value) {
        tracing::warn!(
            "the plugin's properties of the stream are too large; the value was not stored"
        );
    }
    Ok(())
}
