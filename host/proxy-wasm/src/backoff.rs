//! The delay before a stopped instance is replaced.

use std::time::Duration;

/// Delay before the second rebuild in a row. It is short because no request is served meanwhile. The first rebuild is
/// immediate.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest delay: a plugin that keeps stopping must not keep its thread busy with rebuilds.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// An instance that ran this long was healthy: its end counts as the first one again.
pub(crate) const HEALTHY_AGE: Duration = Duration::from_secs(60);

/// Counts ends of instances in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    deaths: u32,
}

impl Backoff {
    /// Counts one more end of an instance that ran for `age`, and returns the delay before the rebuild.
    pub(crate) fn next_wait(&mut self, age: Duration) -> Duration {
        if age >= HEALTHY_AGE {
            self.deaths = 0;
        }
        let doublings = self.deaths.checked_sub(1);
        self.deaths = self.deaths.saturating_add(1);
        doublings.map_or(Duration::ZERO, |doublings| {
            FIRST_WAIT
                .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
                .min(LONGEST_WAIT)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_cap_and_start_over_after_a_healthy_life() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..9)
            .map(|_| backoff.next_wait(Duration::ZERO).as_millis())
            .collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        for _ in 0..100 {
            assert_eq!(backoff.next_wait(Duration::ZERO), LONGEST_WAIT);
        }
        assert_eq!(backoff.next_wait(HEALTHY_AGE), Duration::ZERO);
    }
}
