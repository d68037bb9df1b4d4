//! Work that is given up when it has taken too long, where that may change while it goes on.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The work was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overdue;

/// Does `work` until it ends, or until the moment that `due` tells has passed; `None` is never.
///
/// `due` is asked each time that the work has moved, and once more when the time has come. A timer that is set already is
/// only ever moved when the work is due earlier: a later moment is found when it rings. So a connection with thousands of
/// requests, each with its own limits, sets a timer every few seconds and not twice for each of them.
pub(super) async fn watched<T>(
    work: impl Future<Output = T>,
    due: impl Fn() -> Option<Instant>,
) -> Result<T, Overdue> {
    let mut work = pin!(work);
    let mut alarm = pin!(sleep(Duration::MAX));
    poll_fn(|cx| {
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(result));
        }
        match due() {
            Some(at) if at < alarm.deadline() || alarm.is_elapsed() => alarm.as_mut().reset(at),
            Some(_) => {}
            None => return Poll::Pending,
        }
        while alarm.as_mut().poll(cx).is_ready() {
            match due() {
                Some(at) if at <= Instant::now() => return Poll::Ready(Err(Overdue)),
                Some(at) => alarm.as_mut().reset(at),
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
        let done = watched(sleep(SECOND), || Some(due)).await;
        assert_eq!(done, Ok(()));
        assert_eq!(watched(sleep(SECOND * 9), || None).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_given_up_when_due() {
        let began = Instant::now();
        let given_up = watched(pending::<()>(), || Some(began + SECOND * 2)).await;
        assert_eq!(given_up, Err(Overdue));
        assert_eq!(began.elapsed(), SECOND * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_may_move_both_ways() {
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
        assert_eq!(watched(work, || due.get()).await, Err(Overdue));
        assert_eq!(began.elapsed(), SECOND * 45);
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_that_rang_for_nothing_is_set_again() {
        let began = Instant::now();
        let due = Cell::new(Some(began + SECOND));
        let work = async {
            sleep(SECOND / 2).await;
            due.set(None);
            sleep(SECOND * 5).await;
            due.set(Some(began + SECOND * 9));
            pending::<()>().await;
        };
        assert_eq!(watched(work, || due.get()).await, Err(Overdue));
        assert_eq!(began.elapsed(), SECOND * 9);
    }
}
