//! When websockets that have to end say so: a few at a time. A changed policy, a plugin that was restarted or a configuration
//! that is given up ends thousands at once, and others wait for the same worker.

use std::cell::Cell;

use tokio::time::{Instant, sleep_until};

use crate::limits;

thread_local! {
    /// That of the worker, which is a thread.
    static PACE: Pace = const { Pace::new() };
}

/// Waits until it is the turn of one more websocket of this worker.
pub(super) async fn turn() {
    let now = Instant::now();
    let turn = PACE.with(|pace| pace.next(now));
    if turn > now {
        sleep_until(turn).await;
    }
}

/// Who has had a turn.
struct Pace {
    /// The moment of the last slice, and how many turns it has.
    slice: Cell<Option<(Instant, usize)>>,
}

impl Pace {
    const fn new() -> Self {
        Self {
            slice: Cell::new(None),
        }
    }

    /// The moment of the next turn.
    fn next(&self, now: Instant) -> Instant {
        let (at, turns) = match self.slice.get() {
            Some((at, turns)) if turns < limits::TUNNEL_ENDS && at >= now => (at, turns + 1),
            Some((at, _)) if at + limits::TUNNEL_ENDS_PAUSE > now => {
                (at + limits::TUNNEL_ENDS_PAUSE, 1)
            }
            _ => (now, 1),
        };
        self.slice.set(Some((at, turns)));
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[test]
    fn no_more_than_a_slice_end_at_a_time() {
        let pace = Pace::new();
        let now = Instant::now();
        let mut slices = BTreeMap::<Instant, usize>::new();
        for _ in 0..4_950 {
            *slices.entry(pace.next(now)).or_default() += 1;
        }
        assert!(slices.values().all(|turns| *turns <= limits::TUNNEL_ENDS));
        let times: Vec<_> = slices.keys().collect();
        assert_eq!(*times[0], now, "the first need not wait");
        assert!(
            times
                .windows(2)
                .all(|pair| *pair[1] - *pair[0] == limits::TUNNEL_ENDS_PAUSE)
        );
        assert!(
            *times[times.len() - 1] - now < Duration::from_secs(1),
            "and the last not for long"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_end_together_have_their_turns_in_slices() {
        let ends = (0..100).map(|_| async {
            turn().await;
            Instant::now()
        });
        let mut slices = BTreeMap::<Instant, usize>::new();
        for end in futures_util::future::join_all(ends).await {
            *slices.entry(end).or_default() += 1;
        }
        let slices: Vec<_> = slices.into_values().collect();
        assert_eq!(slices, [32, 32, 32, 4]);
    }

    #[test]
    fn a_turn_after_a_while_is_at_once() {
        let pace = Pace::new();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        assert_eq!((pace.next(now), pace.next(later)), (now, later));
    }
}
