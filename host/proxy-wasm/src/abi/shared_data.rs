//! Shared data.

use wasmtime::Caller;

use super::Imports;
use crate::guest::{self, Slots, Span, parts, put_u32};
use crate::shared::NotStored;
use crate::state::State;
use crate::status::{Failure, Status, code, code_or_trap};

pub(super) fn define(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.env(
        "proxy_get_shared_data",
        |mut caller: Caller<'_, State>, key: u32, key_size: u32, data: u32, size: u32, cas: u32| {
            let key = Span {
                address: key,
                size: key_size,
            };
            code_or_trap(read(&mut caller, key, Slots { data, size }, cas))
        },
    )?;
    imports.env(
        "proxy_set_shared_data",
        |mut caller: Caller<'_, State>,
         key: u32,
         key_size: u32,
         value: u32,
         value_size: u32,
         cas: u32| {
            let value = Span {
                address: value,
                size: value_size,
            };
            code(write(
                &mut caller,
                Span {
                    address: key,
                    size: key_size,
                },
                value,
                cas,
            ))
        },
    )
}

fn read(caller: &mut Caller<'_, State>, key: Span, slots: Slots, cas: u32) -> Result<(), Failure> {
    let (memory, state) = parts(caller)?;
    let (value, number) = state
        .env
        .services
        .shared
        .data
        .value(key.of(memory)?)
        .ok_or(Status::NotFound)?;
    put_u32(memory, cas, number)?;
    guest::give_bytes(caller, slots, &value)
}

fn write(caller: &mut Caller<'_, State>, key: Span, value: Span, cas: u32) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    state
        .env
        .services
        .shared
        .data
        .store(key.of(memory)?, value.of(memory)?, cas)
        .map_err(|refusal| {
            if refusal == NotStored::Full {
                tracing::warn!("the plugin's shared data is full; the value was not stored");
            }
            // The SDKs know no other failure of this function.
            Status::CasMismatch
        })
}
