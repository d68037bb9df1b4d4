//! Records the last use of sessions where no cookie can: input in a WebSocket sets no cookies, and an open WebSocket does not see
//! later requests.

use crate::store::{ExpiringTable, SharedData};
use crate::time::Timestamp;

/// The recorded uses of a process, with room for about ten thousand sessions.
const USES: ExpiringTable = ExpiringTable {
    key: "jetway uses",
    count: 64,
    bytes: 8 * 1024,
};

/// Records that a session is used at `now`, until its idle limit has passed.
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

/// Returns when a session was last used, if that is recorded.
pub(crate) fn last(session: &str, now: Timestamp, shared: &dyn SharedData) -> Option<Timestamp> {
    read(&USES.find(shared, session, now)?)
}

fn read(bytes: &[u8]) -> Option<Timestamp> {
    bytes.try_into().ok().map(u64::from_be_bytes).map(Timestamp)
}
