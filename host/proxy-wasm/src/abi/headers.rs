//! Reading and editing header maps.

use wasmtime::Caller;

use super::Imports;
use crate::context::Phase;
use crate::guest::{self, Slots, Span, parts, put_u32};
use crate::maps::{Head, Invalid, REQUEST_PSEUDO, RESPONSE_PSEUDO};
use crate::pairs::{self, Fields, is_pseudo};
use crate::state::State;
use crate::status::{Failure, Status, code, code_or_trap};

/// Map of the request's header fields.
const REQUEST: u32 = 0;
/// Map of the response's header fields.
const RESPONSE: u32 = 2;
/// Map of the header fields that answer the plugin's HTTP call.
const CALL_REPLY: u32 = 6;
/// The last map of the ABI.
const LAST: u32 = 7;

type Edit = fn(&mut dyn Head, &[u8], &[u8]) -> Result<(), Invalid>;

/// Where a field is in the plugin's memory.
struct FieldSpan {
    name: Span,
    value: Span,
}

pub(super) fn define(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.env(
        "proxy_get_header_map_value",
        |mut caller: Caller<'_, State>,
         map: u32,
         name: u32,
         name_size: u32,
         data: u32,
         size: u32| {
            let name = Span {
                address: name,
                size: name_size,
            };
            code_or_trap(value(&mut caller, map, name, Slots { data, size }))
        },
    )?;
    imports.env(
        "proxy_get_header_map_pairs",
        |mut caller: Caller<'_, State>, map: u32, data: u32, size: u32| {
            code_or_trap(all(&mut caller, map, Slots { data, size }))
        },
    )?;
    imports.env(
        "proxy_get_header_map_size",
        |mut caller: Caller<'_, State>, map: u32, size: u32| {
            code(byte_size(&mut caller, map, size))
        },
    )?;
    define_edit(
        imports,
        "proxy_add_header_map_value",
        |head, name, value| head.add(name, value),
    )?;
    define_edit(
        imports,
        "proxy_replace_header_map_value",
        |head, name, value| head.replace(name, value),
    )?;
    imports.env(
        "proxy_remove_header_map_value",
        |mut caller: Caller<'_, State>, map: u32, name: u32, name_size: u32| {
            let field = FieldSpan {
                name: Span {
                    address: name,
                    size: name_size,
                },
                value: Span {
                    address: 0,
                    size: 0,
                },
            };
            code(edit(&mut caller, map, &field, |head, name, _| {
                head.remove(name)
            }))
        },
    )?;
    imports.env(
        "proxy_set_header_map_pairs",
        |mut caller: Caller<'_, State>, map: u32, address: u32, size: u32| {
            code(replace_all(&mut caller, map, Span { address, size }))
        },
    )
}

fn define_edit(imports: &mut Imports, function: &'static str, make: Edit) -> wasmtime::Result<()> {
    imports.env(
        function,
        move |mut caller: Caller<'_, State>,
              map: u32,
              name: u32,
              name_size: u32,
              value: u32,
              value_size: u32| {
            let field = FieldSpan {
                name: Span {
                    address: name,
                    size: name_size,
                },
                value: Span {
                    address: value,
                    size: value_size,
                },
            };
            code(edit(&mut caller, map, &field, make))
        },
    )
}

/// Returns the map's fields, or `None` while the map is not available.
fn fields(state: &State, map: u32) -> Result<Option<Fields<'_>>, Status> {
    match (map, state.stream().map(|stream| &stream.phase)) {
        (REQUEST, Some(Phase::Request(head))) => Ok(Some(head.fields())),
        (RESPONSE, Some(Phase::Response(head))) => Ok(Some(head.fields())),
        (CALL_REPLY, _) => Ok(state.calls.reply.as_ref().map(crate::CallReply::fields)),
        (0..=LAST, _) => Ok(None),
        _ => Err(Status::BadArgument),
    }
}

fn value(
    caller: &mut Caller<'_, State>,
    map: u32,
    name: Span,
    slots: Slots,
) -> Result<(), Failure> {
    let (memory, state) = parts(caller)?;
    let size = first_value(memory, state, map, name)?.len();
    let room = guest::reserve(caller, slots, size)?;
    let (memory, state) = parts(caller)?;
    let value = first_value(memory, state, map, name)?;
    Ok(guest::place(memory, slots, room, |space| {
        guest::copy(space, value)
    })?)
}

fn first_value<'s>(
    memory: &[u8],
    state: &'s State,
    map: u32,
    name: Span,
) -> Result<&'s [u8], Status> {
    let name = name.of(memory)?;
    fields(state, map)?
        .and_then(|fields| fields.value(name))
        .ok_or(Status::NotFound)
}

fn all(caller: &mut Caller<'_, State>, map: u32, slots: Slots) -> Result<(), Failure> {
    let size = fields(caller.data(), map)?.map_or(0, |fields| fields.serialised_size());
    guest::give(caller, slots, size, |space, state| {
        fields(state, map).ok()??.serialise(space)
    })
}

fn byte_size(caller: &mut Caller<'_, State>, map: u32, slot: u32) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    let size = fields(state, map)?.ok_or(Status::BadArgument)?.bytes();
    put_u32(memory, slot, u32::try_from(size).unwrap_or(u32::MAX))
}

fn edit(
    caller: &mut Caller<'_, State>,
    map: u32,
    field: &FieldSpan,
    make: Edit,
) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    let (name, value) = (field.name.of(memory)?, field.value.of(memory)?);
    let fatal = map == REQUEST || is_pseudo(":status", name);
    apply(state, map, fatal, |head| make(head, name, value))
}

fn replace_all(caller: &mut Caller<'_, State>, map: u32, fields: Span) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    // A serialised map that cannot be read counts as empty, as in Envoy: a head without its pseudo headers is never
    // sent.
    let pairs = pairs::parse(fields.of(memory)?).unwrap_or_default();
    let required: &[&str] = if map == REQUEST {
        &REQUEST_PSEUDO
    } else {
        &RESPONSE_PSEUDO
    };
    apply(state, map, true, |head| head.replace_all(&pairs, required))
}

/// Edits the head that `map` names. An edit that would make the head invalid is not made and is logged without its
/// value. After a `fatal` one the head must not be sent: the request would go on without the header that the plugin
/// wanted.
fn apply(
    state: &mut State,
    map: u32,
    fatal: bool,
    make: impl FnOnce(&mut dyn Head) -> Result<(), Invalid>,
) -> Result<(), Status> {
    let stream = state.stream_mut().ok_or(Status::BadArgument)?;
    let outcome = match (map, &mut stream.phase) {
        (REQUEST, Phase::Request(head)) => make(head),
        (RESPONSE, Phase::Response(head)) => make(head),
        _ => return Err(Status::BadArgument),
    };
    if outcome == Err(Invalid) {
        stream.broken |= fatal;
        tracing::warn!(
            fatal,
            "the plugin set a header field that is not valid HTTP"
        );
    }
    Ok(())
}
