//! Replaces the configuration while connections are open. Every worker first does everything that can fail, and only then do
//! all workers switch; otherwise the previous configuration stays active.

use std::rc::Rc;
use std::sync::{Arc, mpsc as std_channel};

use anyhow::{Context as _, anyhow};
use tokio::sync::mpsc;

use super::{Running, Settings};
use crate::catch_panic::catch_panic_in;
use crate::limits;
use crate::proxy::{Generations, Proxy, ProxyShared};

/// Sends the result of a command back.
type ReplySender = std_channel::Sender<anyhow::Result<()>>;

/// A command to a worker during a reload.
pub(super) enum WorkerCommand {
    /// Build a generation and keep it ready.
    Prepare(Arc<ProxyShared>, ReplySender),
    /// Make the prepared generation the active one.
    Commit(ReplySender),
    /// Shut the prepared generation down.
    Abandon,
    /// Say that the worker is alive.
    Heartbeat(mpsc::Sender<()>),
}

impl Running {
    /// Activates other settings in all workers or in none. Blocks until then.
    ///
    /// Addresses and the number of workers do not change until the next start.
    ///
    /// # Errors
    /// The settings cannot be used. The previous ones stay active.
    pub(crate) fn reload(&mut self, settings: Settings) -> anyhow::Result<()> {
        let has_moved = settings.addresses != self.shared.addresses;
        let next = Arc::new(ProxyShared::prepare_after(&self.shared, settings)?);
        self.command_workers(&|reply| WorkerCommand::Prepare(Arc::clone(&next), reply))
            .inspect_err(|_| {
                self.send_to_workers(&|| WorkerCommand::Abandon);
            })?;
        // None of this can fail. After the end of a reload, every worker uses the new settings.
        self.command_workers(&WorkerCommand::Commit)?;
        let has_moved_admin = !next.monitoring().is_same_as(self.shared.monitoring());
        self.overview.set_active(Arc::clone(&next));
        self.shared = next;
        if has_moved {
            tracing::warn!("the listening address changed: restart the proxy to use it");
        }
        if has_moved_admin {
            tracing::warn!(
                "`admin_address`, `health_check_addr` or a `metrics_*` key changed: restart the proxy to use it"
            );
        }
        Ok(())
    }

    /// Sends a command to all workers and waits until each has carried it out.
    fn command_workers(
        &self,
        command: &dyn Fn(ReplySender) -> WorkerCommand,
    ) -> anyhow::Result<()> {
        let (reply, replies) = std_channel::channel();
        let workers = self.send_to_workers(&|| command(reply.clone()));
        drop(reply);
        for _ in 0..workers {
            replies
                .recv_timeout(limits::PREPARE)
                .context("a worker did not prepare the configuration in time")??;
        }
        if workers < self.threads.len() {
            return Err(anyhow!("a worker has ended"));
        }
        Ok(())
    }

    /// Sends a command to all workers, and returns how many of them receive it.
    fn send_to_workers(&self, command: &dyn Fn() -> WorkerCommand) -> usize {
        let is_sent =
            |worker: &&mpsc::UnboundedSender<WorkerCommand>| worker.send(command()).is_ok();
        self.commands.iter().filter(is_sent).count()
    }
}

/// Runs the commands to one worker.
pub(super) async fn run_commands(
    generations: Rc<Generations>,
    mut commands: mpsc::UnboundedReceiver<WorkerCommand>,
) {
    let mut ready: Option<Rc<Proxy>> = None;
    while let Some(command) = commands.recv().await {
        match command {
            WorkerCommand::Prepare(shared, reply) => {
                let shutdown = generations.shutdown.clone();
                let built = catch_panic_in(|| Proxy::build(&shared, shutdown));
                let result = built.map(|proxy| {
                    ready.replace(proxy);
                });
                // Without a receiver, the reload was given up.
                let _ = reply.send(result);
            }
            WorkerCommand::Commit(reply) => {
                if let Some(next) = ready.take() {
                    generations.replace(next);
                }
                let _ = reply.send(Ok(()));
            }
            WorkerCommand::Abandon => {
                if let Some(unused) = ready.take() {
                    unused.plugin.shutdown().await;
                }
            }
            WorkerCommand::Heartbeat(reply) => {
                // The channel has room for the replies of all workers.
                let _ = reply.try_send(());
            }
        }
    }
}
