//! The WASI functions that toolchains link in: environment, standard output, clocks and random bytes. There are no
//! files, no arguments and no sockets.

use wasmtime::Caller;

use super::Imports;
use super::clock::{monotonic_clock, wall_clock};
use crate::guest::{bytes, bytes_mut, parts, put_u32, put_u64, take_u32};
use crate::log::{self, Level};
use crate::state::State;
use crate::status::Status;

const SUCCESS: u32 = 0;
const BAD_DESCRIPTOR: u32 = 8;
const FAULT: u32 = 21;
const INVALID: u32 = 28;
const IO: u32 = 29;
const NO_ENTRY: u32 = 44;
const NOT_IMPLEMENTED: u32 = 52;
const NOT_SUPPORTED: u32 = 58;

/// Most random bytes in one call, as in Envoy.
const RANDOM_LIMIT: u32 = 64 * 1024;
/// Most buffers in one write (`IOV_MAX` of Linux).
const PIECES_LIMIT: u32 = 1024;
/// Most bytes of one write that are kept for the log, which truncates lines as well.
const WRITE_LIMIT: usize = 8 * 1024;

pub(super) fn define(imports: &mut Imports) -> wasmtime::Result<()> {
    process(imports)?;
    clocks(imports)?;
    output(imports)?;
    absent_files(imports)
}

/// Returns the WASI error number. A bad pointer is the only way in which access to memory can fail.
fn errno(outcome: Result<(), Status>) -> u32 {
    if outcome.is_ok() { SUCCESS } else { FAULT }
}

fn process(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.wasi(
        "environ_sizes_get",
        |mut caller: Caller<'_, State>, count: u32, size: u32| {
            errno(environment_size(&mut caller, count, size))
        },
    )?;
    imports.wasi(
        "environ_get",
        |mut caller: Caller<'_, State>, pointers: u32, text: u32| {
            errno(environment(&mut caller, pointers, text))
        },
    )?;
    imports.wasi(
        "args_sizes_get",
        |mut caller: Caller<'_, State>, count: u32, size: u32| {
            errno(parts(&mut caller).and_then(|(memory, _)| {
                put_u32(memory, count, 0)?;
                put_u32(memory, size, 0)
            }))
        },
    )?;
    imports.wasi("args_get", |_: Caller<'_, State>, _: u32, _: u32| SUCCESS)?;
    imports.wasi("sched_yield", |_: Caller<'_, State>| SUCCESS)?;
    // The plugin aborts: no code after this call may run.
    imports.wasi(
        "proc_exit",
        |_: Caller<'_, State>, code: u32| -> wasmtime::Result<()> {
            Err(wasmtime::Error::msg(format!(
                "the plugin exited with code {code}"
            )))
        },
    )?;
    imports.wasi("proc_raise", |_: Caller<'_, State>, _: u32| NOT_IMPLEMENTED)?;
    imports.wasi(
        "random_get",
        |mut caller: Caller<'_, State>, address: u32, size: u32| random(&mut caller, address, size),
    )
}

fn environment_size(caller: &mut Caller<'_, State>, count: u32, size: u32) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    let variables = &state.env.config.variables;
    // Two bytes for `=` and the final zero.
    let bytes: usize = variables
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    put_u32(
        memory,
        count,
        u32::try_from(variables.len()).unwrap_or(u32::MAX),
    )?;
    put_u32(memory, size, u32::try_from(bytes).unwrap_or(u32::MAX))
}

/// Writes `NAME=value` and a zero for each variable directly into the plugin's memory, as values may be secret.
fn environment(caller: &mut Caller<'_, State>, mut slot: u32, mut text: u32) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    for (name, value) in &state.env.config.variables {
        put_u32(memory, slot, text)?;
        slot = slot.checked_add(4).ok_or(Status::InvalidMemoryAccess)?;
        for part in [name.as_bytes(), b"=", value, b"\0"] {
            let size = u32::try_from(part.len()).map_err(|_| Status::InvalidMemoryAccess)?;
            bytes_mut(memory, text, size)?.copy_from_slice(part);
            text = text.checked_add(size).ok_or(Status::InvalidMemoryAccess)?;
        }
    }
    Ok(())
}

fn random(caller: &mut Caller<'_, State>, address: u32, size: u32) -> u32 {
    if size > RANDOM_LIMIT {
        return INVALID;
    }
    let target = parts(caller).and_then(|(memory, _)| bytes_mut(memory, address, size));
    match target.map(getrandom::fill) {
        Ok(Ok(())) => SUCCESS,
        Ok(Err(_)) => IO,
        Err(_) => FAULT,
    }
}

fn clocks(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.wasi(
        "clock_time_get",
        |mut caller: Caller<'_, State>, clock: u32, _precision: u64, time: u32| {
            let now = match clock {
                0 => wall_clock(caller.data()),
                1 => monotonic_clock(caller.data()),
                _ => return NOT_SUPPORTED,
            };
            errno(parts(&mut caller).and_then(|(memory, _)| put_u64(memory, time, now)))
        },
    )?;
    imports.wasi(
        "clock_res_get",
        |mut caller: Caller<'_, State>, _clock: u32, resolution: u32| {
            errno(parts(&mut caller).and_then(|(memory, _)| put_u64(memory, resolution, 1)))
        },
    )?;
    // No event ever arrives, and a callback may not sleep.
    imports.wasi(
        "poll_oneoff",
        |mut caller: Caller<'_, State>, _: u32, _: u32, _: u32, events: u32| {
            errno(parts(&mut caller).and_then(|(memory, _)| put_u32(memory, events, 0)))
        },
    )
}

fn output(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.wasi(
        "fd_write",
        |mut caller: Caller<'_, State>, descriptor: u32, pieces: u32, count: u32, written: u32| {
            let level = match descriptor {
                1 => Level::Info,
                2 => Level::Error,
                _ => return BAD_DESCRIPTOR,
            };
            if count > PIECES_LIMIT {
                return INVALID;
            }
            errno(write(&mut caller, level, (pieces, count), written))
        },
    )?;
    imports.wasi(
        "fd_fdstat_get",
        |mut caller: Caller<'_, State>, descriptor: u32, stat: u32| {
            if !is_output(descriptor) {
                return BAD_DESCRIPTOR;
            }
            // No file type and no flags; the only right is to write.
            errno(parts(&mut caller).and_then(|(memory, _)| {
                bytes_mut(memory, stat, 24)?.fill(0);
                put_u64(memory, stat.saturating_add(8), 64)
            }))
        },
    )?;
    for name in ["fd_sync", "fd_datasync"] {
        imports.wasi(name, |_: Caller<'_, State>, descriptor: u32| {
            sync(descriptor)
        })?;
    }
    imports.wasi(
        "fd_seek",
        |_: Caller<'_, State>, _: u32, _: u64, _: u32, _: u32| SUCCESS,
    )?;
    imports.wasi("fd_close", |_: Caller<'_, State>, _: u32| SUCCESS)
}

fn is_output(descriptor: u32) -> bool {
    matches!(descriptor, 1 | 2)
}

fn sync(descriptor: u32) -> u32 {
    if is_output(descriptor) {
        SUCCESS
    } else {
        BAD_DESCRIPTOR
    }
}

/// Logs all buffers as one line.
fn write(
    caller: &mut Caller<'_, State>,
    level: Level,
    (pieces, count): (u32, u32),
    written: u32,
) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    let mut text = Vec::new();
    let mut total = 0_u32;
    for index in 0..count {
        let piece = index
            .checked_mul(8)
            .and_then(|offset| pieces.checked_add(offset));
        let piece = piece.ok_or(Status::InvalidMemoryAccess)?;
        let size = take_u32(
            memory,
            piece.checked_add(4).ok_or(Status::InvalidMemoryAccess)?,
        )?;
        let part = bytes(memory, take_u32(memory, piece)?, size)?;
        let room = WRITE_LIMIT.saturating_sub(text.len());
        text.extend_from_slice(part.get(..room).unwrap_or(part));
        total = total.saturating_add(size);
    }
    put_u32(memory, written, total)?;
    if !text.trim_ascii().is_empty() {
        log::write(state, level, &text);
    }
    Ok(())
}

/// Defines the file functions. No files exist and no directory is open; libraries detect this when they start.
fn absent_files(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.wasi(
        "fd_read",
        |_: Caller<'_, State>, _: u32, _: u32, _: u32, _: u32| NOT_IMPLEMENTED,
    )?;
    imports.wasi(
        "fd_fdstat_set_flags",
        |_: Caller<'_, State>, _: u32, _: u32| NOT_IMPLEMENTED,
    )?;
    imports.wasi("fd_prestat_get", |_: Caller<'_, State>, _: u32, _: u32| {
        BAD_DESCRIPTOR
    })?;
    imports.wasi(
        "fd_prestat_dir_name",
        |_: Caller<'_, State>, _: u32, _: u32, _: u32| NOT_IMPLEMENTED,
    )?;
    imports.wasi("fd_filestat_get", |_: Caller<'_, State>, _: u32, _: u32| {
        BAD_DESCRIPTOR
    })?;
    imports.wasi(
        "path_open",
        |_: Caller<'_, State>,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u64,
         _: u64,
         _: u32,
         _: u32| NO_ENTRY,
    )?;
    imports.wasi(
        "path_filestat_get",
        |_: Caller<'_, State>, _: u32, _: u32, _: u32, _: u32, _: u32| NOT_SUPPORTED,
    )
}
