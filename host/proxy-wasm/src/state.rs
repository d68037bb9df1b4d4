//! The host's data for one instance of the plugin: the data of its wasmtime store.

use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;

use tokio::task::AbortHandle;
use wasmtime::{Memory, StoreLimitsBuilder, TypedFunc};

use crate::activity::CountedLimits;
use crate::context::{Contexts, StreamContext};
use crate::plugin::Plugin;
use crate::request_body::KeptBytes;
use crate::{CallReply, PluginConfig, Services};

/// Memory limit of one instance. Plugins need a few MiB, and some hundred while they read a very large configuration.
/// Growth beyond the limit is refused, which aborts the plugin rather than the machine. Every plugin has one instance.
const MEMORY_LIMIT: usize = 512 * 1024 * 1024;
/// Limit of the plugin's function table: far above what compilers produce. It bounds `table.grow`.
const TABLE_LIMIT: usize = 100_000;

/// The data that all instances of one plugin share.
pub(crate) struct InstanceEnv {
    /// The configuration of the plugin.
    pub config: Rc<PluginConfig>,
    /// The services of the proxy.
    pub services: Services,
}

/// Identifies an instance for a local task, which finds it only while it is the running one.
#[derive(Clone)]
pub(crate) struct Link {
    /// The plugin.
    pub plugin: Weak<Plugin>,
    /// The number of the instance among those of the plugin.
    pub generation: u64,
}

/// Data of an instance's store.
pub(crate) struct State {
    /// The plugin's memory, once it is instantiated.
    pub memory: Option<Memory>,
    /// The plugin's allocator, once it is instantiated. `Rc`, as cloning the function itself costs more than a call.
    pub allocator: Option<Rc<TypedFunc<u32, u32>>>,
    /// Limits that wasmtime enforces.
    pub limits: CountedLimits,
    /// The data that all instances of the plugin share.
    pub env: Rc<InstanceEnv>,
    /// Identifies the instance for tasks.
    pub link: Link,
    /// The streams.
    pub contexts: Contexts,
    /// The effective context: a stream's or the root's.
    pub effective: u32,
    /// HTTP calls in progress.
    pub calls: Calls,
    /// Counts the bytes of buffered request bodies.
    pub kept: Rc<KeptBytes>,
    /// The task that calls `proxy_on_tick`.
    pub tick: Option<AbortOnDrop>,
    /// The plugin's last log line while it starts, to explain a failed start; empty afterwards.
    pub last_line: LastLine,
    /// The state of the root context's end.
    pub root_end: RootEnd,
}

impl State {
    /// Creates the state of an instance that is about to start.
    pub(crate) fn new(env: Rc<InstanceEnv>, link: Link) -> Self {
        let limits = StoreLimitsBuilder::new()
            .memory_size(MEMORY_LIMIT)
            .table_elements(TABLE_LIMIT)
            .instances(1)
            .build();
        let activity = Arc::clone(&env.services.shared.activity);
        Self {
            memory: None,
            allocator: None,
            limits: CountedLimits::new(limits, activity),
            env,
            link,
            contexts: Contexts::default(),
            effective: 0,
            calls: Calls::default(),
            kept: Rc::default(),
            tick: None,
            last_line: LastLine::Kept(None),
            root_end: RootEnd::Open,
        }
    }

    /// Returns the effective stream, unless the root context is effective.
    pub(crate) fn stream(&self) -> Option<&StreamContext> {
        self.contexts.find(self.effective)
    }

    /// Returns the effective stream, unless the root context is effective.
    pub(crate) fn stream_mut(&mut self) -> Option<&mut StreamContext> {
        self.contexts.find_mut(self.effective)
    }
}

/// HTTP calls of an instance. Dropping this value drops the calls.
#[derive(Default)]
pub(crate) struct Calls {
    /// Calls in progress, by the plugin's number for the call.
    pub pending: HashMap<u32, Pending>,
    /// The last number given.
    pub last: u32,
    /// The reply that the plugin is handling.
    pub reply: Option<CallReply>,
}

/// An HTTP call in progress.
pub(crate) struct Pending {
    /// The context that it was made in: a stream's or the root's.
    pub caller: u32,
    /// The task that performs it.
    pub _task: AbortOnDrop,
}

/// A local task that ends when this value is dropped.
pub(crate) struct AbortOnDrop(pub AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The last line that the plugin logged.
pub(crate) enum LastLine {
    /// Lines are kept.
    Kept(Option<String>),
    /// The plugin has started.
    Ignored,
}

/// The end of the root context, from `proxy_on_done` to `proxy_on_delete`.
pub(crate) enum RootEnd {
    /// The end has not begun.
    Open,
    /// The plugin has announced that it will call `proxy_done`; this wakes the waiting task.
    Waiting(Option<Waker>),
    /// The root context may be deleted.
    Done,
}
