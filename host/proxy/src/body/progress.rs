//! How far a request and its answer have come, and whether they have taken too long.
//!
//! The limits mean what the generated configuration makes of them in Envoy, so that a route behaves the same in both.

use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How long a request and its answer may take; `None` is for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    /// Longest time in which nothing comes from either side (`idle_timeout`).
    pub(crate) idle: Option<Duration>,
    /// Longest time from the end of the request to the beginning of the answer (`timeout`).
    pub(crate) answer: Option<Duration>,
}

/// Which limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overrun {
    /// Nothing came from either side for too long.
    Idle,
    /// The upstream did not begin its answer in time.
    Late,
}

/// The progress of one request and its answer. Whoever moves bytes of either notes it here.
#[derive(Debug)]
pub(crate) struct Progress {
    patience: Patience,
    /// When something last came from either side.
    moved: Cell<Instant>,
    /// When the client had sent all of its request.
    asked: Cell<Option<Instant>>,
    /// Whether the upstream has begun its answer.
    answered: Cell<bool>,
    received: Cell<u64>,
    broken: Cell<bool>,
}

impl Progress {
    /// Begins now, with a request that is not complete.
    pub(crate) fn new(patience: Patience) -> Self {
        Self {
            patience,
            moved: Cell::new(Instant::now()),
            asked: Cell::new(None),
            answered: Cell::new(false),
            received: Cell::new(0),
            broken: Cell::new(false),
        }
    }

    /// Notes that something came.
    pub(crate) fn advance(&self) {
        self.moved.set(Instant::now());
    }

    /// Notes a part of the request's body.
    pub(crate) fn receive(&self, bytes: usize) {
        self.received
            .set(self.received.get().saturating_add(bytes as u64));
        self.advance();
    }

    /// Notes that the request is complete.
    pub(crate) fn complete(&self) {
        self.advance();
        self.asked.set(Some(self.moved.get()));
    }

    /// Notes that the answer has begun: from here on, only silence can be too long.
    pub(crate) fn begin_answer(&self) {
        self.advance();
        self.answered.set(true);
    }

    /// Notes that the client's side of the request failed.
    pub(crate) fn break_off(&self) {
        self.broken.set(true);
    }

    /// Bytes of the request's body so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }

    /// Whether the request is complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.asked.get().is_some()
    }

    /// Whether the client's side of the request failed.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// When it will have taken too long if nothing comes until then; `None` is never. It may be later when asked again,
    /// but by the time that it tells now, nothing earlier has come due unnoticed.
    pub(crate) fn due(&self) -> Option<Instant> {
        let late = self.patience.answer.filter(|_| !self.answered.get());
        let late = late.and_then(|limit| {
            // While the request is not complete, this limit is as far away as it is long.
            let since = self.asked.get().unwrap_or_else(Instant::now);
            since.checked_add(limit)
        });
        match (self.idle_due(), late) {
            (Some(idle), Some(late)) => Some(idle.min(late)),
            (idle, late) => idle.or(late),
        }
    }

    /// Which limit has been passed, if any.
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

    /// Completes when a limit is passed. Cancel safe.
    pub(crate) async fn overruns(&self) -> Overrun {
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

    fn progress(idle: Option<u32>, answer: Option<u32>) -> Progress {
        Progress::new(Patience {
            idle: idle.map(|seconds| SECOND * seconds),
            answer: answer.map(|seconds| SECOND * seconds),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_has_its_time_from_the_end_of_the_request_on() {
        let progress = progress(None, Some(10));
        assert!(timeout(SECOND * 100, progress.overruns()).await.is_err());
        progress.complete();
        let began = Instant::now();
        assert_eq!(progress.overruns().await, Overrun::Late);
        assert_eq!(began.elapsed(), SECOND * 10);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_has_begun_may_take_its_time() {
        let progress = progress(Some(30), Some(10));
        progress.complete();
        sleep(SECOND * 9).await;
        progress.begin_answer();
        let began = Instant::now();
        assert_eq!(progress.overruns().await, Overrun::Idle);
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
        let (overrun, ()) = tokio::join!(progress.overruns(), client);
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
        let (overrun, ()) = tokio::join!(progress.overruns(), both);
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
            timeout(SECOND * 1_000_000, progress.overruns())
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_limit_beyond_all_time_is_none() {
        let progress = Progress::new(Patience {
            idle: Some(Duration::MAX),
            answer: Some(Duration::MAX),
        });
        progress.complete();
        assert_eq!(progress.due(), None);
    }
}
