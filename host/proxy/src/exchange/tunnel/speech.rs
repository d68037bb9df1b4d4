//! Reports to the plugin that the client of a WebSocket sends something, so that the plugin knows that the user is active.

use std::cell::Cell;

use tokio::time::Instant;

use crate::limits;
use crate::wasm::Stream;

/// Decides which pieces of a WebSocket are reported.
///
/// Envoy calls `on_request_body` for each piece, which costs as much as a small request. A shell sends a short piece for each
/// key that is pressed, a file transfer thousands of long ones per second; the plugin only records the time, in a session
/// that lasts for minutes at least. So the first piece is reported, and later ones when the last report is long enough ago:
/// [`limits::TUNNEL_SPOKEN`], and for short pieces [`limits::TUNNEL_TYPED`]. Some of the short pieces are a browser's answers
/// to pings, and must not hide a user who types.
pub(super) struct SpeechReporter<'a> {
    stream: Option<&'a Stream>,
    /// The bytes since the last report of a long piece.
    unreported: Cell<u64>,
    last_report: Cell<Option<Instant>>,
}

impl<'a> SpeechReporter<'a> {
    /// Creates a reporter to the plugin's context of the WebSocket.
    pub(super) fn new(stream: Option<&'a Stream>) -> Self {
        Self {
            stream,
            unreported: Cell::new(0),
            last_report: Cell::new(None),
        }
    }

    /// Reports a piece that the client sent, unless the last report was just before.
    pub(super) fn report(&self, piece: &[u8]) {
        let length = piece.len() as u64;
        self.unreported
            .set(self.unreported.get().saturating_add(length));
        let is_short = piece.len() <= limits::TUNNEL_SHORT;
        let pause = if is_short {
            limits::TUNNEL_TYPED
        } else {
            limits::TUNNEL_SPOKEN
        };
        let is_due = |last: Instant| last.elapsed() >= pause;
        if self.last_report.get().is_none_or(is_due)
            && let Some(stream) = self.stream
        {
            self.last_report.set(Some(Instant::now()));
            let unreported = self.unreported.take();
            let bytes = if is_short { length } else { unreported };
            let beginning = piece.get(..limits::TUNNEL_BEGINNING).unwrap_or(piece);
            stream.client_spoke(bytes, beginning);
        }
    }
}
