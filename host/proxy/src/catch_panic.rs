//! Runs work so that a panic ends only that work.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;

/// A panic ended the work. The panic itself was logged when it happened.
#[derive(Debug, thiserror::Error)]
#[error("internal error (panic): an earlier log line names the place")]
pub(crate) struct Panicked;

/// Runs a future and returns its output, or [`Panicked`] if it panicked. The future is dropped in either case, with
/// everything that it held.
///
/// # Errors
/// [`Panicked`].
pub(crate) async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    // Everything that a panic leaves behind is either dropped with the future or, like the cells that the tasks of a worker
    // share, consistent between any two statements.
    AssertUnwindSafe(future)
        .catch_unwind()
        .await
        .map_err(|_| Panicked)
}

/// Runs a call that may fail or panic, and returns its result.
///
/// # Errors
/// The errors of the call, and [`Panicked`].
pub(crate) fn catch_panic_in<T>(call: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(Panicked.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_outcome() {
        assert!(catch_panic(async {}).await.is_ok());
        let panicking = async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        };
        assert!(catch_panic(panicking).await.is_err());
        assert!(catch_panic_in(|| Ok(())).is_ok());
        let panicking = catch_panic_in(|| -> anyhow::Result<()> { panic!("on purpose") });
        assert!(panicking.unwrap_err().is::<Panicked>());
    }
}
