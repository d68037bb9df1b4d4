//! Work whose panic costs nothing but the work.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;

/// A panic ended the work. It was logged when it happened.
#[derive(Debug, thiserror::Error)]
#[error("it has a defect (panic), an earlier line of the log says where")]
pub(crate) struct Panicked;

/// What comes of a future, or that it panicked. It is dropped in either case, with everything that it held.
///
/// # Errors
/// [`Panicked`].
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    // What a panic leaves behind is either dropped with the future or, like the cells that the tasks of a worker share,
    // consistent between any two statements.
    AssertUnwindSafe(future)
        .catch_unwind()
        .await
        .map_err(|_| Panicked)
}

/// What comes of a call that may fail, be it by a panic.
///
/// # Errors
/// Those of the call, and [`Panicked`].
pub(crate) fn caught_call<T>(call: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(Panicked.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_outcome() {
        assert!(caught(async {}).await.is_ok());
        let panicking = async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        };
        assert!(caught(panicking).await.is_err());
        assert!(caught_call(|| Ok(())).is_ok());
        let panicking = caught_call(|| -> anyhow::Result<()> { panic!("on purpose") });
        assert!(panicking.unwrap_err().is::<Panicked>());
    }
}
