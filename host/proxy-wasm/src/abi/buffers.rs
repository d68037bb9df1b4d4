//! Buffers: the plugin's configuration, the bodies of replies to its HTTP calls, and the buffered body of a request,
//! the only buffer that the plugin may change. Other bodies stream past the plugin and read as empty.

use wasmtime::Caller;

use super::Imports;
use crate::context::Phase;
use crate::guest::{self, Slots, Span, parts, put_u32};
use crate::request_body::Full;
use crate::state::State;
use crate::status::{Failure, Status, code, code_or_trap};

/// The buffered body of the stream's request.
const REQUEST_BODY: u32 = 0;
/// Body of the reply to the plugin's HTTP call.
const CALL_REPLY_BODY: u32 = 4;
/// The configuration of the virtual machine.
const VM_CONFIGURATION: u32 = 6;
/// The plugin's configuration.
const PLUGIN_CONFIGURATION: u32 = 7;
/// The last buffer of the ABI.
const LAST: u32 = 8;

pub(super) fn define(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.env(
        "proxy_get_buffer_bytes",
        |mut caller: Caller<'_, State>,
         buffer: u32,
         start: u32,
         most: u32,
         data: u32,
         size: u32| {
            code_or_trap(bytes(
                &mut caller,
                buffer,
                (start, most),
                Slots { data, size },
            ))
        },
    )?;
    imports.env(
        "proxy_get_buffer_status",
        |mut caller: Caller<'_, State>, buffer: u32, length: u32, flags: u32| {
            code(length_of(&mut caller, buffer, length, flags))
        },
    )?;
    imports.env(
        "proxy_set_buffer_bytes",
        |mut caller: Caller<'_, State>,
         buffer: u32,
         start: u32,
         size: u32,
         value: u32,
         value_size: u32| {
            let value = Span {
                address: value,
                size: value_size,
            };
            code(replace(&mut caller, buffer, (start, size), value))
        },
    )
}

/// Replaces any part of a request's body. Bytes that start beyond its end are appended.
fn replace(
    caller: &mut Caller<'_, State>,
    number: u32,
    (start, size): (u32, u32),
    value: Span,
) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    let value = value.of(memory)?;
    let stream = state
        .stream_mut()
        .filter(|stream| number == REQUEST_BODY && matches!(stream.phase, Phase::Request(_)));
    let body = &mut stream.ok_or(Status::BadArgument)?.body;
    body.replace(start, size, value)
        .map_err(|Full| Status::BadArgument)
}

fn buffer(state: &State, number: u32) -> Result<&[u8], Status> {
    match number {
        REQUEST_BODY => Ok(state.stream().map_or(&[], |stream| stream.body.bytes())),
        CALL_REPLY_BODY => state
            .calls
            .reply
            .as_ref()
            .map(|reply| &*reply.body)
            .ok_or(Status::NotFound),
        VM_CONFIGURATION => Ok(&state.env.config.vm_configuration),
        PLUGIN_CONFIGURATION => Ok(&state.env.config.configuration),
        1..=LAST => Ok(&[]),
        _ => Err(Status::BadArgument),
    }
}

/// Returns up to `most` bytes of a buffer from `start` on.
fn part(state: &State, number: u32, (start, most): (u32, u32)) -> Result<&[u8], Status> {
    let rest = usize::try_from(start).ok().and_then(|start| {
        buffer(state, number)
            .map(|all| all.get(start..))
            .transpose()
    });
    let rest = rest.transpose()?.unwrap_or_default();
    Ok(usize::try_from(most)
        .ok()
        .and_then(|most| rest.get(..most))
        .unwrap_or(rest))
}

fn bytes(
    caller: &mut Caller<'_, State>,
    number: u32,
    range: (u32, u32),
    slots: Slots,
) -> Result<(), Failure> {
    let size = part(caller.data(), number, range)?.len();
    guest::give(caller, slots, size, |space, state| {
        guest::copy(space, part(state, number, range).ok()?)
    })
}

fn length_of(
    caller: &mut Caller<'_, State>,
    number: u32,
    length: u32,
    flags: u32,
) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    let size = u32::try_from(buffer(state, number)?.len()).unwrap_or(u32::MAX);
    put_u32(memory, length, size)?;
    put_u32(memory, flags, 0)
}
