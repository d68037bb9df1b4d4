//! Attempts whose callback has come: each may redeem one code.

use crate::env::Env;
use crate::limits::ATTEMPT_LIFETIME;
use crate::store::ExpiringTable;
use crate::time::Timestamp;

/// The used attempts of a process: room for some ten thousand in the time for which one lives. The provider accepts a code
/// once anyway; this spares it the repeats, so that nothing is lost when the oldest give way.
const USED: ExpiringTable = ExpiringTable {
    kind: "used attempts",
    count: 32,
    bytes: 8 * 1024,
};

/// Whether an attempt is used for the first time; from then on it is not.
pub(crate) fn consume_once(attempt: &str, begun_at: Timestamp, env: &Env<'_>) -> bool {
    let until = begun_at.plus(ATTEMPT_LIFETIME + crate::limits::LEEWAY);
    let first = USED.update(env.shared, attempt, env.now, |used| match used {
        Some(_) => Err(false),
        None => Ok((Vec::new(), until, true)),
    });
    // A table that cannot be written to is no reason to keep everybody out.
    first.unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    #[test]
    fn once() {
        let mut fixture = Fixture::new();
        let now = fixture.now;
        assert!(consume_once("a", now, &fixture.env()));
        assert!(!consume_once("a", now, &fixture.env()));
        assert!(consume_once("b", now, &fixture.env()));
    }
}
