//! Waiting with a deadline: every wait of a scenario is a condition and a deadline, never a plain sleep.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

/// Pause between two attempts of [`eventually`].
const PAUSE: Duration = Duration::from_millis(25);

/// Repeats `attempt` until it succeeds.
///
/// # Errors
/// Returns the error of the last attempt, once `limit` has passed.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= end => {
                return Err(error.context(format!("{what}: not within {limit:?}")));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Stops `future` when `limit` has passed.
///
/// # Errors
/// Returns the future's own error, or one that the time has passed.
pub async fn within<T>(
    what: &str,
    limit: Duration,
    future: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(limit, future).await {
        Ok(result) => result.with_context(|| what.to_owned()),
        Err(_) => Err(anyhow!("{what}: not within {limit:?}")),
    }
}
