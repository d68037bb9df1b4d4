//! The plugin on one thread: one running instance, which is replaced when it stops.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::spawn_local;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use crate::backoff::Backoff;
use crate::context::StreamContext;
use crate::instance::{Instance, fault};
use crate::state::{AbortOnDrop, InstanceEnv, Link, RootEnd};
use crate::{
    CallFuture, CallReply, Module, PluginConfig, RequestHead, Services, StartError, Stream,
    StreamFacts, Verdict,
};

/// Time for a plugin to finish its work before it ends.
const END_TIME: Duration = Duration::from_secs(2);

/// The cause of a stop that is not the plugin's fault.
const DEFECT: &str = "the host has a defect (panic)";

/// A configured plugin on one thread: it has one instance, which is replaced when it traps. It is not `Send`: it stays
/// on the thread that started it, inside a tokio `LocalSet` or `LocalRuntime`.
pub struct Plugin {
    module: Module,
    env: Rc<InstanceEnv>,
    /// Borrowed while the plugin runs and never across an `.await`.
    instance: RefCell<InstanceState>,
    generation: Cell<u64>,
    backoff: Cell<Backoff>,
    held: Cell<bool>,
}

/// The state of the plugin's instance.
enum InstanceState {
    Live(Box<Instance>),
    /// The instance has stopped and is being rebuilt.
    Dead,
    /// The plugin was shut down.
    Ended,
}

impl Plugin {
    /// Starts an instance and configures the plugin.
    ///
    /// # Errors
    ///
    /// Returns an error when the plugin refuses its configuration, traps or takes too long.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio `LocalSet` or `LocalRuntime`, if the plugin sets a timer or makes a call as it starts.
    pub fn start(
        module: &Module,
        config: Rc<PluginConfig>,
        services: Services,
    ) -> Result<Rc<Self>, StartError> {
        let plugin = Rc::new(Self {
            module: module.clone(),
            env: Rc::new(InstanceEnv { config, services }),
            instance: RefCell::new(InstanceState::Dead),
            generation: Cell::new(0),
            backoff: Cell::new(Backoff::default()),
            held: Cell::new(false),
        });
        plugin.build()?;
        Ok(plugin)
    }

    /// Suspends the plugin's timer until [`Plugin::serve`], for a plugin that is ready and may never serve.
    pub fn hold(&self) {
        self.held.set(true);
    }

    /// Resumes the plugin's timer.
    pub fn serve(&self) {
        self.held.set(false);
    }

    /// Opens a stream with the head of a request. Without a running instance the verdict is `Failed`.
    pub fn request(
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

    /// Returns whether an instance is running.
    #[cfg(test)]
    pub(crate) fn is_live(&self) -> bool {
        self.instance
            .try_borrow()
            .is_ok_and(|instance| matches!(&*instance, InstanceState::Live(_)))
    }

    /// Ends the plugin: done and delete of its root context. Streams that are still open are `Failed`, and no further
    /// request is forwarded.
    pub async fn shutdown(self: &Rc<Self>) {
        if self.enter(None, Instance::end_root) == Some(false) {
            let ended = timeout(END_TIME, poll_fn(|context| self.poll_root_end(context))).await;
            if ended.is_err() {
                tracing::warn!(
                    plugin = self.name(),
                    "the plugin did not finish in time and was stopped"
                );
            }
        }
        self.enter(None, Instance::delete_root);
        self.replace_instance(InstanceState::Ended);
    }

    /// Runs a function in the running instance of that generation. A trap ends the instance.
    pub(crate) fn enter<T>(
        self: &Rc<Self>,
        generation: Option<u64>,
        run: impl FnOnce(&mut Instance) -> wasmtime::Result<T>,
    ) -> Option<T> {
        let trap = {
            let Ok(mut instance) = self.instance.try_borrow_mut() else {
                tracing::error!("re-entrant call into the plugin rejected");
                return None;
            };
            let InstanceState::Live(instance) = &mut *instance else {
                return None;
            };
            if generation.is_some_and(|generation| generation != instance.generation) {
                return None;
            }
            match catch_unwind(AssertUnwindSafe(|| run(instance))) {
                Ok(Ok(outcome)) => return Some(outcome),
                Ok(Err(trap)) => trap,
                // The plugin was interrupted, as by a trap.
                Err(_) => wasmtime::Error::msg(DEFECT),
            }
        };
        self.on_trap(&fault(&trap));
        None
    }

    /// Returns a view of a stream's context without running the plugin.
    pub(crate) fn stream<T>(
        &self,
        generation: u64,
        id: u32,
        look: impl FnOnce(&mut StreamContext) -> T,
    ) -> Option<T> {
        let mut instance = self.instance.try_borrow_mut().ok()?;
        match &mut *instance {
            InstanceState::Live(instance) if instance.generation == generation => {
                instance.stream(id).map(look)
            }
            _ => None,
        }
    }

    fn name(&self) -> &str {
        &self.env.config.name
    }

    fn poll_root_end(&self, context: &Context<'_>) -> Poll<()> {
        let Ok(mut instance) = self.instance.try_borrow_mut() else {
            return Poll::Ready(());
        };
        let InstanceState::Live(instance) = &mut *instance else {
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

    /// Creates an instance and puts it into service.
    fn build(self: &Rc<Self>) -> Result<(), StartError> {
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        let link = Link {
            plugin: Rc::downgrade(self),
            generation,
        };
        let start = || Instance::start(&self.module, Rc::clone(&self.env), link);
        let instance = catch_unwind(AssertUnwindSafe(start)).unwrap_or_else(|_| {
            Err(StartError {
                cause: DEFECT.into(),
                last_line: None,
            })
        })?;
        self.replace_instance(InstanceState::Live(Box::new(instance)));
        Ok(())
    }

    /// Ends a stopped instance: its streams are woken at once, its calls and ticks end with it.
    fn on_trap(self: &Rc<Self>, cause: &str) {
        let age = match &*self.instance.borrow() {
            InstanceState::Live(instance) => instance.born.elapsed(),
            InstanceState::Dead | InstanceState::Ended => return,
        };
        self.env.services.shared.activity.count_trap();
        self.replace_instance(InstanceState::Dead);
        let wait = self.next_wait(age);
        tracing::error!(
            plugin = self.name(),
            wait_ms = wait.as_millis(),
            "the plugin stopped: {cause}; its requests are refused until it is rebuilt"
        );
        self.rebuild_after(wait);
    }

    fn rebuild_after(self: &Rc<Self>, mut wait: Duration) {
        let plugin = Rc::downgrade(self);
        spawn_local(async move {
            loop {
                sleep(wait).await;
                let Some(plugin) = plugin.upgrade() else {
                    return;
                };
                if !matches!(&*plugin.instance.borrow(), InstanceState::Dead) {
                    return;
                }
                let Err(error) = plugin.build() else {
                    tracing::info!(
                        plugin = plugin.name(),
                        "the plugin was rebuilt and is serving again"
                    );
                    return;
                };
                wait = plugin.next_wait(Duration::ZERO);
                tracing::error!(
                    plugin = plugin.name(),
                    wait_ms = wait.as_millis(),
                    "the plugin cannot be rebuilt: {error}"
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

    /// The old instance is dropped after the borrow ends, as its tasks may access the plugin.
    fn replace_instance(&self, instance: InstanceState) {
        let mut old = self.instance.replace(instance);
        if let InstanceState::Live(instance) = &mut old {
            instance.abandon();
        }
    }
}

/// Calls `proxy_on_tick` in each period until the task is dropped.
pub(crate) fn spawn_ticks(link: Link, period: Duration) -> AbortOnDrop {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ticks = async move {
        loop {
            interval.tick().await;
            let Some(plugin) = link.plugin.upgrade() else {
                return;
            };
            if !plugin.held.get() {
                plugin.enter(Some(link.generation), Instance::tick);
            }
        }
    };
    AbortOnDrop(spawn_local(ticks).abort_handle())
}

/// Performs an HTTP call and passes its reply to the plugin.
pub(crate) fn spawn_call(link: Link, id: u32, call: CallFuture) -> AbortOnDrop {
    let deliver = async move {
        // The plugin waits for a reply in every case.
        let reply = AssertUnwindSafe(call).catch_unwind().await;
        let reply = reply.unwrap_or_else(|_| CallReply::unreachable());
        if let Some(plugin) = link.plugin.upgrade() {
            plugin.enter(Some(link.generation), |instance| {
                instance.call_reply(id, reply)
            });
        }
    };
    AbortOnDrop(spawn_local(deliver).abort_handle())
}
