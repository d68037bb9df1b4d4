//! Limits the time of work whose deadline moves while the work runs.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The deadline passed before the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overdue;

/// Runs `work` until it ends or until the deadline that `due` returns has passed; `None` is no deadline.
///
/// `due` is called each time that the work is polled, and again when the timer fires. A timer is reset only to an earlier
/// deadline; a later one is found when the timer fires. So a connection with thousands of requests, each with its own limits,
/// sets a timer every few seconds and not twice for each of them.
///
/// # Errors
/// The deadline passed.
pub(crate) async fn with_moving_deadline<T>(
    work: impl Future<Output = T>,
    due: impl Fn() -> Option<Instant>,
) -> Result<T, Overdue> {
    let mut work = pin!(work);
    let mut timer = pin!(sleep(Duration::MAX));
    poll_fn(|cx| {
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(result));
        }
        match due() {
            Some(at) if at < timer.deadline() || timer.is_elapsed() => timer.as_mut().reset(at),
            Some(_) => {}
            None => return Poll::Pending,
        }
        while timer.as_mut().poll(cx).is_ready() {
            match due() {
                Some(at) if at <= Instant::now() => return Poll::Ready(Err(Overdue)),
                Some(at) => timer.as_mut().reset(at),
                None => return Poll::Pending,
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::pending;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn work_that_ends_in_time_is_done() {
        let due = Instant::now() + SECOND * 2;
        let done = with_moving_deadline(sleep(SECOND), || Some(due)).await;
        assert_eq!(done, Ok(()));
        assert_eq!(
            with_moving_deadline(sleep(SECOND * 9), || None).await,
            Ok(())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_when_its_deadline_passes() {
        let began = Instant::now();
        let result = with_moving_deadline(pending::<()>(), || Some(began + SECOND * 2)).await;
        assert_eq!(result, Err(Overdue));
        assert_eq!(began.elapsed(), SECOND * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_may_move_both_ways() {
        let began = Instant::now();
        let due = Cell::new(Some(began + SECOND * 10));
        let work = async {
            sleep(SECOND).await;
            due.set(Some(began + SECOND * 20));
            sleep(SECOND * 12).await;
            due.set(None);
            sleep(SECOND * 30).await;
            due.set(Some(began + SECOND * 50));
            sleep(SECOND).await;
            due.set(Some(began + SECOND * 45));
            pending::<()>().await;
        };
        assert_eq!(with_moving_deadline(work, || due.get()).await, Err(Overdue));
        assert_eq!(began.elapsed(), SECOND * 45);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_fires_too_early_is_set_again() {
        let began = Instant::now();
        let due = Cell::new(Some(began + SECOND));
        let work = async {
            sleep(SECOND / 2).await;
            due.set(None);
            sleep(SECOND * 5).await;
            due.set(Some(began + SECOND * 9));
            pending::<()>().await;
        };
        assert_eq!(with_moving_deadline(work, || due.get()).await, Err(Overdue));
        assert_eq!(began.elapsed(), SECOND * 9);
    }
}
