//! Status codes of the ABI, and the outcome of a host call.

/// The status that a host call returns to the plugin. All values are known to every SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Status {
    /// The call succeeded.
    Ok = 0,
    /// There is no such item.
    NotFound = 1,
    /// The arguments are invalid here.
    BadArgument = 2,
    /// A pointer, alone or with its size, is outside of the plugin's memory.
    InvalidMemoryAccess = 6,
    /// The compare-and-swap number is not the current one.
    CasMismatch = 8,
    /// The host does not support the operation.
    InternalFailure = 10,
}

/// The reason why a host call failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The plugin gets this status and continues.
    Status(Status),
    /// The plugin's allocator trapped, and so did the plugin.
    Trap(wasmtime::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// Returns the number of the status for a call that cannot trap.
pub(crate) fn code(outcome: Result<(), Status>) -> u32 {
    outcome.err().unwrap_or(Status::Ok) as u32
}

/// Returns the number of the status for a call that may trap.
pub(crate) fn code_or_trap(outcome: Result<(), Failure>) -> wasmtime::Result<u32> {
    match outcome {
        Ok(()) => Ok(Status::Ok as u32),
        Err(Failure::Status(status)) => Ok(status as u32),
        Err(Failure::Trap(trap)) => Err(trap),
    }
}
