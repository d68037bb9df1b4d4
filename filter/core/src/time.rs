//! Times in whole seconds.

use serde::{Deserialize, Serialize};

/// Whole seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the time that many seconds later, at most the latest one.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Returns the seconds since `earlier`; zero when that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns whether this time is at most now, and less than `seconds` ago. A time after `now` is not recent: the clock was
    /// set back.
    pub(crate) const fn is_recent(self, now: Self, seconds: u64) -> bool {
        self.0 <= now.0 && now.since(self) < seconds
    }
}
