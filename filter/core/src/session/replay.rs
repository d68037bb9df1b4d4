//! Replay protection: each sign-in attempt, ticket or confirmation may be used once.

use crate::env::Env;
use crate::limits::ATTEMPT_LIFETIME;
use crate::store::ExpiringTable;
use crate::time::Timestamp;

/// The used attempts of a process, with room for about ten thousand within the lifetime of one. The provider accepts a code only
/// once in any case; this avoids the repeated requests, so that a dropped entry does no harm.
const USED: ExpiringTable = ExpiringTable {
    key: "jetway used attempts",
    count: 32,
    bytes: 8 * 1024,
};

/// Marks an attempt as used, and returns whether it was unused before.
pub(crate) fn consume_once(attempt: &str, begun_at: Timestamp, env: &Env<'_>) -> bool {
    let until = begun_at.plus(ATTEMPT_LIFETIME + crate::limits::LEEWAY);
    let first = USED.update(env.shared, attempt, env.now, |used| match used {
        Some(_) => Err(false),
        None => Ok((Vec::new(), until, true)),
    });
    // Sign-ins stay possible when the table cannot be written.
    first.unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    #[test]
    fn an_attempt_can_be_used_once() {
        let mut fixture = Fixture::new();
        let now = fixture.now;
        assert!(consume_once("a", now, &fixture.env()));
        assert!(!consume_once("a", now, &fixture.env()));
        assert!(consume_once("b", now, &fixture.env()));
    }
}
