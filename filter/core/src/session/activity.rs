//! When sessions were last used, as far as no cookie can tell: by typing into a websocket, which sets no cookies, and for
//! websockets, which see no requests.

use crate::store::{ExpiringTable, SharedData};
use crate::time::Timestamp;

/// The uses of a process: room for some ten thousand sessions.
const USES: ExpiringTable = ExpiringTable {
    kind: "uses",
    count: 64,
    bytes: 8 * 1024,
};

/// Remembers that a session is used at `now`, for as long as that matters.
pub(crate) fn note(session: &str, now: Timestamp, idle: u64, shared: &dyn SharedData) {
    let change = |present: Option<&[u8]>| {
        if present.and_then(read).is_some_and(|known| known >= now) {
            return Err(());
        }
        Ok((now.0.to_be_bytes().to_vec(), now.plus(idle), ()))
    };
    // If it cannot be written, the session ends a little early.
    let _ = USES.update(shared, session, now, change);
}

/// When a session was last used, if that is remembered.
pub(crate) fn last(session: &str, now: Timestamp, shared: &dyn SharedData) -> Option<Timestamp> {
    read(&USES.find(shared, session, now)?)
}

fn read(bytes: &[u8]) -> Option<Timestamp> {
    bytes.try_into().ok().map(u64::from_be_bytes).map(Timestamp)
}
