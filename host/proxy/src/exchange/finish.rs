//! The parts of an exchange that live until its response has been sent.

use crate::access::AccessEntry;
use crate::client::ActiveRequest;
use crate::upstream::Lease;
use crate::wasm::Stream;

/// Held until a response has been sent or aborted, or until a tunnel has ended.
pub(super) struct Finish {
    /// Writes the log line.
    pub(super) entry: AccessEntry,
    /// Returns the upstream connection to its pool.
    pub(super) lease: Option<Lease>,
    /// Ends the request's context in the plugin.
    pub(super) stream: Option<Stream>,
    /// Keeps the client's connection from counting as idle.
    pub(super) _active: ActiveRequest,
}
