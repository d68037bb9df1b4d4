//! Status codes of the ABI, and how a host call ends.

/// What a host call returns to the plugin. Only values that every SDK knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Status {
    /// Done.
    Ok = 0,
    /// There is nothing of that name.
    NotFound = 1,
    /// The arguments make no sense here.
    BadArgument = 2,
    /// A pointer, or a pointer with its size, is outside of the plugin's memory.
    InvalidMemoryAccess = 6,
    /// The compare-and-swap number is not the current one.
    CasMismatch = 8,
    /// The host cannot do it.
    InternalFailure = 10,
}

/// Why a host call did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The plugin is told and goes on.
    Status(Status),
    /// The plugin's allocator trapped, so the plugin has.
    Trap(wasmtime::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// The number that a call which cannot trap returns to the plugin.
pub(crate) fn code(outcome: Result<(), Status>) -> u32 {
    outcome.err().unwrap_or(Status::Ok) as u32
}

/// The number that a call which may trap returns to the plugin.
pub(crate) fn code_or_trap(outcome: Result<(), Failure>) -> wasmtime::Result<u32> {
    match outcome {
        Ok(()) => Ok(Status::Ok as u32),
        Err(Failure::Status(status)) => Ok(status as u32),
        Err(Failure::Trap(trap)) => Err(trap),
    }
}
