//! Tells a page of Cockpit why its WebSocket closes, in Cockpit's own protocol.

/// Why a WebSocket of Cockpit's page is closed. The page shows a sentence for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gate) enum CloseProblem {
    /// "Your session has expired. Please log in again."
    NoSession,
    /// "Your session has been terminated."
    Terminated,
}

impl CloseProblem {
    /// Returns the control message with the problem. Cockpit's server sends the same message when a WebSocket has no session.
    ///
    /// A control message is a line break and a JSON object. The page closes its connection at an `init` with a problem at any
    /// time, while it ignores a `close` for no channel once its connection has begun (all versions from 287 to 372).
    pub(in crate::gate) const fn message(self) -> &'static str {
        match self {
            Self::NoSession => "\n{\"command\":\"init\",\"problem\":\"no-session\"}",
            Self::Terminated => "\n{\"command\":\"init\",\"problem\":\"terminated\"}",
        }
    }
}
