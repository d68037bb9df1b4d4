//! The plugin on one thread: one live instance, and another one when it dies.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::spawn_local;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::backoff::Backoff;
use super::context::StreamContext;
use super::instance::{Instance, fault};
use super::state::{AbortOnDrop, Link, RootEnd, Surroundings};
use super::{
    CallFuture, CallReply, Callouts, Module, PluginSettings, RequestHead, Shared, Stream,
    StreamFacts, Verdict,
};

/// Time for a plugin that wants to finish something before it ends.
const END_TIME: Duration = Duration::from_secs(2);

/// The plugin on one thread. Not `Send`: it lives on the thread that started it, inside a `LocalSet`.
pub(crate) struct Worker {
    module: Module,
    surroundings: Rc<Surroundings>,
    /// Borrowed while the plugin runs and never across an `.await`.
    life: RefCell<Life>,
    generation: Cell<u64>,
    backoff: Cell<Backoff>,
    held: Cell<bool>,
}

/// Whether there is an instance.
enum Life {
    Live(Box<Instance>),
    /// It died; another one is on its way.
    Dead,
    /// The worker was shut down.
    Ended,
}

impl Worker {
    /// Starts an instance and configures the plugin.
    ///
    /// # Errors
    ///
    /// When the plugin refuses its configuration, traps or takes too long. The error carries the plugin's last log line.
    pub(crate) fn start(
        module: &Module,
        settings: Rc<PluginSettings>,
        shared: Arc<Shared>,
        callouts: Rc<dyn Callouts>,
    ) -> anyhow::Result<Rc<Self>> {
        let worker = Rc::new(Self {
            module: module.clone(),
            surroundings: Rc::new(Surroundings {
                settings,
                shared,
                callouts,
            }),
            life: RefCell::new(Life::Dead),
            generation: Cell::new(0),
            backoff: Cell::new(Backoff::default()),
            held: Cell::new(false),
        });
        worker.build()?;
        Ok(worker)
    }

    /// Keeps the plugin's timer back until [`Worker::serve`]: one that is ready and may never serve has nothing to do.
    pub(crate) fn hold(&self) {
        self.held.set(true);
    }

    /// Lets the plugin's timer run: it is in force now.
    pub(crate) fn serve(&self) {
        self.held.set(false);
    }

    /// Shows a request to the plugin. Without a live instance the verdict is `Failed`.
    pub(crate) fn request(
        self: &Rc<Self>,
        head: RequestHead,
        end_of_stream: bool,
        facts: StreamFacts,
    ) -> (Stream, Verdict<RequestHead>) {
        let shown = self.enter(None, |instance| {
            let (id, verdict) = instance.request(head, end_of_stream, facts)?;
            Ok((id, instance.generation, verdict))
        });
        match shown {
            Some((id, generation, verdict)) => {
                (Stream::new(Rc::clone(self), id, generation), verdict)
            }
            None => (Stream::new(Rc::clone(self), 0, 0), Verdict::Failed),
        }
    }

    /// Whether an instance is alive.
    #[cfg(test)]
    pub(crate) fn is_live(&self) -> bool {
        self.life
            .try_borrow()
            .is_ok_and(|life| matches!(&*life, Life::Live(_)))
    }

    /// Ends the plugin: done and delete of its root context. Streams that are still open are `Failed`, and nothing
    /// passes any more.
    pub(crate) async fn shutdown(self: &Rc<Self>) {
        if self.enter(None, Instance::end_root) == Some(false) {
            let ended = timeout(END_TIME, poll_fn(|context| self.poll_root_end(context))).await;
            if ended.is_err() {
                tracing::warn!(
                    plugin = self.name(),
                    "the plugin did not finish in time and was ended"
                );
            }
        }
        self.enter(None, Instance::delete_root);
        self.replace_life(Life::Ended);
    }

    /// Runs something in the live instance, if that is the one meant. A trap ends the instance.
    pub(super) fn enter<T>(
        self: &Rc<Self>,
        generation: Option<u64>,
        run: impl FnOnce(&mut Instance) -> wasmtime::Result<T>,
    ) -> Option<T> {
        let trap = {
            let Ok(mut life) = self.life.try_borrow_mut() else {
                tracing::error!("the plugin was entered while it runs; the call was refused");
                return None;
            };
            let Life::Live(instance) = &mut *life else {
                return None;
            };
            if generation.is_some_and(|generation| generation != instance.generation) {
                return None;
            }
            match catch_unwind(AssertUnwindSafe(|| run(instance))) {
                Ok(Ok(outcome)) => return Some(outcome),
                Ok(Err(trap)) => trap,
                // The plugin was left in the middle of something, as by a trap.
                Err(_) => wasmtime::Error::msg("the host has a defect (panic)"),
            }
        };
        self.bury(&fault(trap));
        None
    }

    /// Looks at a stream's context without running the plugin.
    pub(super) fn stream<T>(
        &self,
        generation: u64,
        id: u32,
        look: impl FnOnce(&mut StreamContext) -> T,
    ) -> Option<T> {
        let mut life = self.life.try_borrow_mut().ok()?;
        match &mut *life {
            Life::Live(instance) if instance.generation == generation => {
                instance.stream(id).map(look)
            }
            _ => None,
        }
    }

    fn name(&self) -> &str {
        &self.surroundings.settings.name
    }

    fn poll_root_end(&self, context: &Context<'_>) -> Poll<()> {
        let Ok(mut life) = self.life.try_borrow_mut() else {
            return Poll::Ready(());
        };
        let Life::Live(instance) = &mut *life else {
            return Poll::Ready(());
        };
        match instance.root_end() {
            RootEnd::Waiting(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            RootEnd::Open | RootEnd::Done => Poll::Ready(()),
        }
    }

    /// Makes an instance and lets it serve.
    fn build(self: &Rc<Self>) -> anyhow::Result<()> {
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        let link = Link {
            worker: Rc::downgrade(self),
            generation,
        };
        let start = || Instance::start(&self.module, Rc::clone(&self.surroundings), link);
        let instance = catch_unwind(AssertUnwindSafe(start))
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the host has a defect (panic)")))?;
        self.replace_life(Life::Live(Box::new(instance)));
        Ok(())
    }

    /// Ends a dead instance: its streams are told at once, its calls and ticks end with it.
    fn bury(self: &Rc<Self>, cause: &anyhow::Error) {
        let age = match &*self.life.borrow() {
            Life::Live(instance) => instance.born.elapsed(),
            Life::Dead | Life::Ended => return,
        };
        self.replace_life(Life::Dead);
        let wait = self.next_wait(age);
        tracing::error!(
            plugin = self.name(),
            wait_ms = wait.as_millis(),
            "the plugin stopped: {cause:#}; its requests are refused until it is rebuilt"
        );
        self.rebuild_after(wait);
    }

    fn rebuild_after(self: &Rc<Self>, mut wait: Duration) {
        let worker = Rc::downgrade(self);
        spawn_local(async move {
            loop {
                sleep(wait).await;
                let Some(worker) = worker.upgrade() else {
                    return;
                };
                if !matches!(&*worker.life.borrow(), Life::Dead) {
                    return;
                }
                let Err(error) = worker.build() else {
                    tracing::info!(
                        plugin = worker.name(),
                        "the plugin was rebuilt and serves again"
                    );
                    return;
                };
                wait = worker.next_wait(Duration::ZERO);
                tracing::error!(
                    plugin = worker.name(),
                    wait_ms = wait.as_millis(),
                    "the plugin cannot be rebuilt: {error:#}"
                );
            }
        });
    }

    fn next_wait(&self, age: Duration) -> Duration {
        let mut backoff = self.backoff.get();
        let wait = backoff.next_wait(age);
        self.backoff.set(backoff);
        wait
    }

    /// The old instance is dropped after the borrow ends, as its tasks may look at the worker.
    fn replace_life(&self, life: Life) {
        let mut old = self.life.replace(life);
        if let Life::Live(instance) = &mut old {
            instance.abandon();
        }
    }
}

/// Calls `proxy_on_tick` in each period for as long as the task is kept.
pub(super) fn spawn_ticks(link: Link, period: Duration) -> AbortOnDrop {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ticks = async move {
        loop {
            interval.tick().await;
            let Some(worker) = link.worker.upgrade() else {
                return;
            };
            if !worker.held.get() {
                worker.enter(Some(link.generation), Instance::tick);
            }
        }
    };
    AbortOnDrop(spawn_local(ticks).abort_handle())
}

/// Performs an HTTP call and gives the plugin its reply.
pub(super) fn spawn_call(link: Link, id: u32, call: CallFuture) -> AbortOnDrop {
    let deliver = async move {
        // Whatever happens to a call, the plugin waits for its reply.
        let reply = AssertUnwindSafe(call).catch_unwind().await;
        let reply = reply.unwrap_or_else(|_| CallReply::unreachable());
        if let Some(worker) = link.worker.upgrade() {
            worker.enter(Some(link.generation), |instance| {
                instance.call_reply(id, reply)
            });
        }
    };
    AbortOnDrop(spawn_local(deliver).abort_handle())
}
