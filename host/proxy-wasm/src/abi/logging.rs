//! `proxy_log`, `proxy_get_log_level`.

use wasmtime::Caller;

use super::Imports;
use crate::guest::{Span, parts, put_u32};
use crate::log::{self, Level};
use crate::state::State;
use crate::status::{Status, code};

pub(super) fn define(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.env(
        "proxy_log",
        |mut caller: Caller<'_, State>, level: u32, address: u32, size: u32| {
            code(line(&mut caller, level, Span { address, size }))
        },
    )?;
    imports.env(
        "proxy_get_log_level",
        |mut caller: Caller<'_, State>, level: u32| {
            code(parts(&mut caller).and_then(|(memory, state)| {
                put_u32(memory, level, state.env.services.log.finest() as u32)
            }))
        },
    )
}

fn line(caller: &mut Caller<'_, State>, level: u32, text: Span) -> Result<(), Status> {
    let level = Level::from_number(level).ok_or(Status::BadArgument)?;
    let (memory, state) = parts(caller)?;
    log::write(state, level, text.of(memory)?);
    Ok(())
}
