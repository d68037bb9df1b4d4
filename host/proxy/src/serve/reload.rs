//! Another configuration while connections are open: everything that can fail is done first, in every worker, and only
//! then it is put in force. Otherwise the old one stays.

use std::rc::Rc;
use std::sync::{Arc, mpsc as reply_channel};

use anyhow::{Context as _, anyhow};
use tokio::sync::mpsc;

use super::common::Common;
use super::{Generations, Proxy, Running, Settings};
use crate::caught::caught_call;
use crate::limits;

/// How a worker tells that it has carried out an order, or why it cannot.
type Reply = reply_channel::Sender<anyhow::Result<()>>;

/// What the workers are told during a reload.
pub(super) enum Order {
    /// Build a generation and keep it ready.
    Prepare(Arc<Common>, Reply),
    /// Put it in force.
    Commit(Reply),
    /// Forget it.
    Abandon,
}

impl Running {
    /// Puts other settings in force, in all workers or in none. Blocks meanwhile.
    ///
    /// Addresses and the number of workers stay as they are until the next start.
    ///
    /// # Errors
    /// Settings that cannot be used: the old ones stay in force.
    pub(crate) fn reload(&mut self, settings: Settings) -> anyhow::Result<()> {
        let moved = settings.addresses != self.common.addresses;
        let next = Arc::new(Common::prepare_after(&self.common, settings)?);
        self.carry_out(&|reply| Order::Prepare(Arc::clone(&next), reply))
            .inspect_err(|_| {
                self.tell(&|| Order::Abandon);
            })?;
        // Nothing of this can fail. Whoever sees the end of a reload meets the new settings everywhere.
        self.carry_out(&Order::Commit)?;
        self.common = next;
        if moved {
            tracing::warn!(
                "the address to listen on changed: it takes effect when the proxy is started again"
            );
        }
        Ok(())
    }

    /// Gives an order to all workers and waits until each has carried it out.
    fn carry_out(&self, order: &dyn Fn(Reply) -> Order) -> anyhow::Result<()> {
        let (reply, replies) = reply_channel::channel();
        let workers = self.tell(&|| order(reply.clone()));
        drop(reply);
        for _ in 0..workers {
            replies
                .recv_timeout(limits::PREPARE)
                .context("a worker did not take the configuration")??;
        }
        if workers < self.threads.len() {
            return Err(anyhow!("a worker has ended"));
        }
        Ok(())
    }

    /// Gives an order to all workers that are there, and returns how many those are.
    fn tell(&self, order: &dyn Fn() -> Order) -> usize {
        let told = |worker: &&mpsc::UnboundedSender<Order>| worker.send(order()).is_ok();
        self.orders.iter().filter(told).count()
    }
}

/// Carries out orders in one worker.
pub(super) async fn carry_out(
    generations: Rc<Generations>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut ready: Option<Rc<Proxy>> = None;
    while let Some(order) = orders.recv().await {
        match order {
            Order::Prepare(common, reply) => {
                let built = caught_call(|| Proxy::build(&common, generations.stop.clone()));
                let result = built.map(|proxy| {
                    ready.replace(proxy);
                });
                // Who does not wait any more has given up the reload.
                let _ = reply.send(result);
            }
            Order::Commit(reply) => {
                if let Some(next) = ready.take() {
                    generations.replace(next);
                }
                let _ = reply.send(Ok(()));
            }
            Order::Abandon => {
                if let Some(unused) = ready.take() {
                    unused.plugin.shutdown().await;
                }
            }
        }
    }
}
