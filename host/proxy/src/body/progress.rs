//! Tracks how far a request and its response have come, and whether they have taken too long.
//!
//! The limits have the same meaning as in the Envoy configuration that is generated from a route, so that a route behaves
//! identically in both proxies.

use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The limits on how long a request and its response may take; `None` is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    /// Longest time without a byte from either side (`idle_timeout`).
    pub(crate) idle: Option<Duration>,
    /// Longest time from the end of the request to the beginning of the response (`timeout`).
    pub(crate) response: Option<Duration>,
}

/// The limit that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overrun {
    /// Neither side sent anything for too long.
    Idle,
    /// The upstream did not begin its response in time.
    Late,
}

/// The progress of one request and its response. The code that moves bytes of either records it here.
#[derive(Debug)]
pub(crate) struct Progress {
    patience: Patience,
    /// When something last arrived from either side.
    moved: Cell<Instant>,
    /// When the client had sent all of its request.
    asked: Cell<Option<Instant>>,
    /// Whether the upstream has begun its response.
    has_response: Cell<bool>,
    received: Cell<u64>,
    is_aborted: Cell<bool>,
}

impl Progress {
    /// Starts the clock for a request that is not complete.
    pub(crate) fn new(patience: Patience) -> Self {
        Self {
            patience,
            moved: Cell::new(Instant::now()),
            asked: Cell::new(None),
            has_response: Cell::new(false),
            received: Cell::new(0),
            is_aborted: Cell::new(false),
        }
    }

    /// Records that something arrived.
    pub(crate) fn advance(&self) {
        self.moved.set(Instant::now());
    }

    /// Records a part of the request's body.
    pub(crate) fn receive(&self, bytes: usize) {
        self.received
            .set(self.received.get().saturating_add(bytes as u64));
        self.advance();
    }

    /// Records that the request is complete.
    pub(crate) fn complete(&self) {
        self.advance();
        self.asked.set(Some(self.moved.get()));
    }

    /// Records that the response has begun: from here on, only silence can exceed a limit.
    pub(crate) fn begin_response(&self) {
        self.advance();
        self.has_response.set(true);
    }

    /// Records that the client's side of the request failed.
    pub(crate) fn abort(&self) {
        self.is_aborted.set(true);
    }

    /// Returns how many bytes of the request's body have arrived.
    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }

    /// Returns whether the request is complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.asked.get().is_some()
    }

    /// Returns whether the client's side of the request failed.
    pub(crate) fn is_aborted(&self) -> bool {
        self.is_aborted.get()
    }

    /// Returns when a limit will be exceeded if nothing arrives until then; `None` is never. A later call may return a
    /// later time, but never one before the time that was returned earlier.
    pub(crate) fn due(&self) -> Option<Instant> {
        let late = self.patience.response.filter(|_| !self.has_response.get());
        let late = late.and_then(|limit| {
            // While the request is not complete, this limit starts again with each call.
            let since = self.asked.get().unwrap_or_else(Instant::now);
            since.checked_add(limit)
        });
        match (self.idle_due(), late) {
            (Some(idle), Some(late)) => Some(idle.min(late)),
            (idle, late) => idle.or(late),
        }
    }

    /// Returns which limit has been exceeded, if any.
    pub(crate) fn overrun(&self) -> Option<Overrun> {
        let now = Instant::now();
        if self.due()? > now {
            return None;
        }
        let is_idle = self.idle_due().is_some_and(|due| due <= now);
        Some(if is_idle {
            Overrun::Idle
        } else {
            Overrun::Late
        })
    }

    /// Completes when a limit is exceeded. Cancel safe.
    pub(crate) async fn wait_for_overrun(&self) -> Overrun {
        loop {
            if let Some(overrun) = self.overrun() {
                return overrun;
            }
            match self.due() {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        }
    }

    fn idle_due(&self) -> Option<Instant> {
        self.moved.get().checked_add(self.patience.idle?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{sleep, timeout};

    const SECOND: Duration = Duration::from_secs(1);

    fn progress(idle: Option<u32>, response: Option<u32>) -> Progress {
        Progress::new(Patience {
            idle: idle.map(|seconds| SECOND * seconds),
            response: response.map(|seconds| SECOND * seconds),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn the_response_has_its_time_from_the_end_of_the_request_on() {
        let progress = progress(None, Some(10));
        assert!(
            timeout(SECOND * 100, progress.wait_for_overrun())
                .await
                .is_err()
        );
        progress.complete();
        let began = Instant::now();
        assert_eq!(progress.wait_for_overrun().await, Overrun::Late);
        assert_eq!(began.elapsed(), SECOND * 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_has_begun_may_take_its_time() {
        let progress = progress(Some(30), Some(10));
        progress.complete();
        sleep(SECOND * 9).await;
        progress.begin_response();
        let began = Instant::now();
        assert_eq!(progress.wait_for_overrun().await, Overrun::Idle);
        assert_eq!(began.elapsed(), SECOND * 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_completes_while_it_is_waited_for_is_timed_from_then_on() {
        let progress = progress(None, Some(10));
        let began = Instant::now();
        let client = async {
            sleep(SECOND * 17).await;
            progress.complete();
        };
        let (overrun, ()) = tokio::join!(progress.wait_for_overrun(), client);
        assert_eq!(overrun, Overrun::Late);
        assert_eq!(began.elapsed(), SECOND * 27);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_counted_from_the_last_byte_of_either_side() {
        let progress = progress(Some(3), Some(100));
        let began = Instant::now();
        let both = async {
            sleep(SECOND * 2).await;
            progress.receive(5);
            sleep(SECOND * 2).await;
            progress.complete();
            sleep(SECOND * 2).await;
            progress.advance();
        };
        let (overrun, ()) = tokio::join!(progress.wait_for_overrun(), both);
        assert_eq!(overrun, Overrun::Idle);
        assert_eq!(began.elapsed(), SECOND * 9);
        assert_eq!(progress.received(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_there_is_no_end() {
        let progress = progress(None, None);
        progress.complete();
        assert_eq!(progress.due(), None);
        assert!(
            timeout(SECOND * 1_000_000, progress.wait_for_overrun())
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_limit_beyond_all_time_is_none() {
        let progress = Progress::new(Patience {
            idle: Some(Duration::MAX),
            response: Some(Duration::MAX),
        });
        progress.complete();
        assert_eq!(progress.due(), None);
    }
}
