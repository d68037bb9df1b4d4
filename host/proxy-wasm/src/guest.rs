//! Access to the plugin's memory. Every pointer comes from the plugin, so every range is checked.

use wasmtime::{AsContextMut, Caller};

use crate::state::State;
use crate::status::{Failure, Status};

/// Where the plugin expects the address and the size of a returned value.
#[derive(Clone, Copy)]
pub(crate) struct Slots {
    /// Address of the slot for the address.
    pub data: u32,
    /// Address of the slot for the size.
    pub size: u32,
}

/// Returns the plugin's memory and the instance's state. Every access is invalid until the plugin has a memory.
pub(crate) fn parts<'c>(
    caller: &'c mut Caller<'_, State>,
) -> Result<(&'c mut [u8], &'c mut State), Status> {
    let memory = caller.data().memory.ok_or(Status::InvalidMemoryAccess)?;
    Ok(memory.data_and_store_mut(caller))
}

/// Returns a range of the plugin's memory.
pub(crate) fn bytes(memory: &[u8], address: u32, size: u32) -> Result<&[u8], Status> {
    range(address, size)
        .and_then(|range| memory.get(range))
        .ok_or(Status::InvalidMemoryAccess)
}

/// Returns a writable range of the plugin's memory.
pub(crate) fn bytes_mut(memory: &mut [u8], address: u32, size: u32) -> Result<&mut [u8], Status> {
    range(address, size)
        .and_then(|range| memory.get_mut(range))
        .ok_or(Status::InvalidMemoryAccess)
}

fn range(address: u32, size: u32) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(address).ok()?;
    Some(start..start.checked_add(usize::try_from(size).ok()?)?)
}

/// Writes a 32-bit number.
pub(crate) fn put_u32(memory: &mut [u8], address: u32, value: u32) -> Result<(), Status> {
    bytes_mut(memory, address, 4).map(|slot| slot.copy_from_slice(&value.to_le_bytes()))
}

/// Writes a 64-bit number.
pub(crate) fn put_u64(memory: &mut [u8], address: u32, value: u64) -> Result<(), Status> {
    bytes_mut(memory, address, 8).map(|slot| slot.copy_from_slice(&value.to_le_bytes()))
}

/// Reads a 32-bit number.
pub(crate) fn take_u32(memory: &[u8], address: u32) -> Result<u32, Status> {
    let mut number = [0; 4];
    number.copy_from_slice(bytes(memory, address, 4)?);
    Ok(u32::from_le_bytes(number))
}

/// A range of the plugin's memory that the plugin passes to a host call.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// Its address.
    pub address: u32,
    /// Its size.
    pub size: u32,
}

impl Span {
    /// Returns the bytes of the range.
    pub(crate) fn of(self, memory: &[u8]) -> Result<&[u8], Status> {
        bytes(memory, self.address, self.size)
    }
}

/// Returns a value to the plugin, which then owns it: the plugin's allocator reserves space, `write` fills it, and the
/// slots receive its address and size.
///
/// `write` runs after the allocator, which may have changed the state, so it has to look its source up again. It
/// returns `None` when the source no longer has `size` bytes.
pub(crate) fn give(
    caller: &mut Caller<'_, State>,
    slots: Slots,
    size: usize,
    write: impl FnOnce(&mut [u8], &State) -> Option<()>,
) -> Result<(), Failure> {
    let room = reserve(caller, slots, size)?;
    let (memory, state) = parts(caller)?;
    Ok(place(memory, slots, room, |space| write(space, state))?)
}

/// Clears the slots and has the plugin's allocator reserve space, none for an empty value. The memory may move in this
/// call.
pub(crate) fn reserve(
    caller: &mut Caller<'_, State>,
    slots: Slots,
    size: usize,
) -> Result<Span, Failure> {
    let size = u32::try_from(size).map_err(|_| Status::InvalidMemoryAccess)?;
    let (memory, _) = parts(caller)?;
    put_u32(memory, slots.data, 0)?;
    put_u32(memory, slots.size, 0)?;
    let address = if size == 0 {
        0
    } else {
        allocate(caller, size)?
    };
    Ok(Span { address, size })
}

/// Fills reserved space and writes its address and size into the slots.
pub(crate) fn place(
    memory: &mut [u8],
    slots: Slots,
    room: Span,
    write: impl FnOnce(&mut [u8]) -> Option<()>,
) -> Result<(), Status> {
    if room.size == 0 {
        return Ok(());
    }
    write(bytes_mut(memory, room.address, room.size)?).ok_or(Status::InternalFailure)?;
    put_u32(memory, slots.data, room.address)?;
    put_u32(memory, slots.size, room.size)
}

/// Returns a copy of these bytes to the plugin.
pub(crate) fn give_bytes(
    caller: &mut Caller<'_, State>,
    slots: Slots,
    value: &[u8],
) -> Result<(), Failure> {
    give(caller, slots, value.len(), |space, _| copy(space, value))
}

/// Copies `value` if it fits exactly.
pub(crate) fn copy(space: &mut [u8], value: &[u8]) -> Option<()> {
    (space.len() == value.len()).then(|| space.copy_from_slice(value))
}

fn allocate(caller: &mut Caller<'_, State>, size: u32) -> Result<u32, Failure> {
    let Some(allocator) = caller.data().allocator.clone() else {
        return Err(Status::InvalidMemoryAccess.into());
    };
    let address = allocator
        .call(caller.as_context_mut(), size)
        .map_err(Failure::Trap)?;
    if address == 0 {
        Err(Status::InvalidMemoryAccess.into())
    } else {
        Ok(address)
    }
}
