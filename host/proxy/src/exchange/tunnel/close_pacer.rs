//! Closes WebSockets a few at a time. A changed policy, a restarted plugin or a retired configuration closes thousands at
//! once, while other requests wait for the same worker.

use std::cell::Cell;

use tokio::time::{Instant, sleep_until};

use crate::limits;

thread_local! {
    /// The pacer of this worker: a worker is a thread.
    static PACER: ClosePacer = const { ClosePacer::new() };
}

/// Waits until this worker may close one more WebSocket.
pub(super) async fn wait_for_turn() {
    let now = Instant::now();
    let turn = PACER.with(|pacer| pacer.next_turn(now));
    if turn > now {
        sleep_until(turn).await;
    }
}

/// Hands out turns in slices of [`limits::TUNNEL_CLOSES`].
struct ClosePacer {
    /// The time of the latest slice, and how many turns it has.
    slice: Cell<Option<(Instant, usize)>>,
}

impl ClosePacer {
    const fn new() -> Self {
        Self {
            slice: Cell::new(None),
        }
    }

    /// Takes the next turn and returns when it is.
    fn next_turn(&self, now: Instant) -> Instant {
        let (at, turns) = match self.slice.get() {
            Some((at, turns)) if turns < limits::TUNNEL_CLOSES && at >= now => (at, turns + 1),
            Some((at, _)) if at + limits::TUNNEL_CLOSE_INTERVAL > now => {
                (at + limits::TUNNEL_CLOSE_INTERVAL, 1)
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
    fn turns_come_in_slices() {
        let pacer = ClosePacer::new();
        let now = Instant::now();
        let mut slices = BTreeMap::<Instant, usize>::new();
        for _ in 0..4_950 {
            *slices.entry(pacer.next_turn(now)).or_default() += 1;
        }
        assert!(slices.values().all(|turns| *turns <= limits::TUNNEL_CLOSES));
        let times: Vec<_> = slices.into_keys().collect();
        assert_eq!(times[0], now, "the first slice does not wait");
        assert!(
            times
                .windows(2)
                .all(|pair| pair[1] - pair[0] == limits::TUNNEL_CLOSE_INTERVAL)
        );
        assert!(times[times.len() - 1] - now < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn websockets_that_close_together_wait_for_their_slice() {
        let closes = (0..100).map(|_| async {
            wait_for_turn().await;
            Instant::now()
        });
        let mut slices = BTreeMap::<Instant, usize>::new();
        for close in futures_util::future::join_all(closes).await {
            *slices.entry(close).or_default() += 1;
        }
        let slices: Vec<_> = slices.into_values().collect();
        assert_eq!(slices, [32, 32, 32, 4]);
    }

    #[test]
    fn a_single_close_never_waits() {
        let pacer = ClosePacer::new();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        assert_eq!((pacer.next_turn(now), pacer.next_turn(later)), (now, later));
    }
}
