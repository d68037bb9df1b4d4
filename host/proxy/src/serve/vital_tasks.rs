//! The tasks that a worker cannot do without: when one of them ends, the process has to end.

use anyhow::anyhow;
use tokio::task::JoinSet;

use crate::catch_panic::{Panicked, catch_panic};

/// Tasks that run until the worker stops, each with its name.
#[derive(Default)]
pub(super) struct VitalTasks {
    tasks: JoinSet<(String, Result<(), Panicked>)>,
}

impl VitalTasks {
    /// Starts a task; must run within the worker's `LocalSet`.
    pub(super) fn spawn(
        &mut self,
        name: impl Into<String>,
        task: impl Future<Output = ()> + 'static,
    ) {
        let name = name.into();
        self.tasks
            .spawn_local(async move { (name, catch_panic(task).await) });
    }

    /// Completes when a task has ended, and returns which one and why. Cancel safe.
    pub(super) async fn next_failure(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok((name, Ok(())))) => anyhow!("{name} ended by itself"),
            Some(Ok((name, Err(panic)))) => anyhow!("{name} ended: {panic}"),
            Some(Err(error)) => anyhow!("a task ended: {error}"),
            None => anyhow!("the worker has no tasks"),
        }
    }

    /// Waits until all tasks have ended by themselves. Cancel safe.
    pub(super) async fn wait(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Cancels all tasks and waits for their end.
    pub(super) async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio::task::LocalSet;

    #[tokio::test]
    async fn the_end_of_any_task_is_a_failure_with_its_name_and_cause() {
        let tasks = LocalSet::new();
        let failures = tasks.run_until(async {
            let mut vital = VitalTasks::default();
            vital.spawn("the first", pending());
            vital.spawn("the second", ready(()));
            let by_itself = vital.next_failure().await.to_string();
            vital.spawn("the third", async { panic!("on purpose") });
            (by_itself, vital.next_failure().await.to_string())
        });
        let (by_itself, by_panic) = failures.await;
        assert_eq!(by_itself, "the second ended by itself");
        assert!(by_panic.starts_with("the third ended: "), "{by_panic}");
        assert!(by_panic.contains("panic"), "{by_panic}");
    }
}
