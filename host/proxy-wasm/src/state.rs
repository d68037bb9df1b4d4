//! What the host keeps for one instance of the plugin: the data of its wasmtime store.

use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::task::Waker;

use tokio::task::AbortHandle;
use wasmtime::{Memory, StoreLimits, StoreLimitsBuilder, TypedFunc};

use crate::context::{Contexts, StreamContext};
use crate::plugin::Plugin;
use crate::request_body::KeptBytes;
use crate::{CallReply, PluginConfig, Services};

/// Memory of one instance. Plugins need a few MiB, and some hundred while they read a very large configuration; growth
/// beyond this is refused, which aborts the plugin rather than the machine. Every plugin has one instance.
const MEMORY_LIMIT: usize = 512 * 1024 * 1024;
/// Entries of the plugin's function table: far above what compilers produce, and it bounds `table.grow`.
const TABLE_LIMIT: usize = 100_000;

/// What every instance of one plugin is made with.
pub(crate) struct InstanceEnv {
    /// What the plugin is configured with.
    pub config: Rc<PluginConfig>,
    /// What the proxy does for it.
    pub services: Services,
}

/// How a local task finds the instance that it works for, if that is still the one which lives.
#[derive(Clone)]
pub(crate) struct Link {
    /// The plugin.
    pub plugin: Weak<Plugin>,
    /// Which of the plugin's instances.
    pub generation: u64,
}

/// Data of an instance's store.
pub(crate) struct State {
    /// The plugin's memory, once it is instantiated.
    pub memory: Option<Memory>,
    /// The plugin's allocator, once it is instantiated. `Rc`, as cloning the function itself costs more than a call.
    pub allocator: Option<Rc<TypedFunc<u32, u32>>>,
    /// Limits that wasmtime enforces.
    pub limits: StoreLimits,
    /// What the instance was made with.
    pub env: Rc<InstanceEnv>,
    /// How tasks find back.
    pub link: Link,
    /// The streams.
    pub contexts: Contexts,
    /// The context on which host calls act: a stream's or the root's.
    pub effective: u32,
    /// HTTP calls under way.
    pub calls: Calls,
    /// Bytes of request bodies that the plugin keeps back.
    pub kept: Rc<KeptBytes>,
    /// The task that calls `proxy_on_tick`.
    pub tick: Option<AbortOnDrop>,
    /// The plugin's last log line while it starts, to tell why it did not; empty afterwards.
    pub last_line: LastLine,
    /// How far the root context's end is.
    pub root_end: RootEnd,
}

impl State {
    /// State of an instance that is about to start.
    pub(crate) fn new(env: Rc<InstanceEnv>, link: Link) -> Self {
        Self {
            memory: None,
            allocator: None,
            limits: StoreLimitsBuilder::new()
                .memory_size(MEMORY_LIMIT)
                .table_elements(TABLE_LIMIT)
                .instances(1)
                .build(),
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

    /// The stream on which host calls act, unless they act on the root context.
    pub(crate) fn stream(&self) -> Option<&StreamContext> {
        self.contexts.find(self.effective)
    }

    /// The stream on which host calls act, unless they act on the root context.
    pub(crate) fn stream_mut(&mut self) -> Option<&mut StreamContext> {
        self.contexts.find_mut(self.effective)
    }
}

/// HTTP calls of an instance. Dropping them drops the calls.
#[derive(Default)]
pub(crate) struct Calls {
    /// Those under way, by the plugin's number for the call.
    pub pending: HashMap<u32, Pending>,
    /// The last number given.
    pub last: u32,
    /// The reply that the plugin is looking at.
    pub reply: Option<CallReply>,
}

/// An HTTP call under way.
pub(crate) struct Pending {
    /// The context that it was made in: a stream's or the root's.
    pub caller: u32,
    /// The task that performs it.
    pub _task: AbortOnDrop,
}

/// A local task that ends with its owner.
pub(crate) struct AbortOnDrop(pub AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The last line the plugin logged.
pub(crate) enum LastLine {
    /// Lines are kept.
    Kept(Option<String>),
    /// The plugin has started.
    Ignored,
}

/// The end of the root context, `proxy_on_done` to `proxy_on_delete`.
pub(crate) enum RootEnd {
    /// It has not begun.
    Open,
    /// The plugin answered that it will call `proxy_done`; this wakes the waiting task.
    Waiting(Option<Waker>),
    /// It may be deleted.
    Done,
}
