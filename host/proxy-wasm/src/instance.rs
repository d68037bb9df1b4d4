//! One instance of the plugin: calls its callbacks and applies the actions that it requests.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use wasmtime::{Store, Trap};

use crate::callbacks::{Callbacks, function};
use crate::context::{PendingActions, Phase, ROOT, StreamContext};
use crate::engine::{EPOCH, describe};
use crate::request_body::RequestBuffer;
use crate::state::{InstanceEnv, LastLine, Link, Pending, RootEnd, State};
use crate::{
    CallReply, LocalReply, Module, RequestHead, ResponseHead, StartError, StreamFacts, Verdict,
};

/// Name of a module's exported memory.
pub(crate) const MEMORY: &str = "memory";
/// Names of a module's exported allocator, in the order in which Envoy looks for them.
pub(crate) const ALLOCATORS: [&str; 2] = ["malloc", "proxy_on_memory_allocate"];

/// Deadline of one callback. A callback takes microseconds, or some milliseconds of cryptography. One that takes this
/// long is stuck, and every stream of the thread waits for it. The deadline is generous: missing it ends every stream
/// of the instance, and a busy machine may not schedule the thread for a while.
const CALLBACK_TIME: Duration = Duration::from_millis(500);
/// Deadline of each callback of the start, in which a plugin reads its whole configuration and derives its keys.
const START_TIME: Duration = Duration::from_secs(10);

/// Pseudo headers of a request, of a response.
const REQUEST_PSEUDO: usize = 4;
const RESPONSE_PSEUDO: usize = 1;

/// The value by which a body callback lets the request go on. Every other value pauses the request and keeps all of its
/// body, also `StopIterationNoBuffer`: a plugin in front of an application has no use for dropping a part.
const BODY_CONTINUE: u32 = 0;

/// A running plugin.
pub(crate) struct Instance {
    store: Store<State>,
    callbacks: Callbacks,
    /// Number of this instance among those of the plugin.
    pub generation: u64,
    /// When its start was complete.
    pub born: Instant,
}

impl Instance {
    /// Instantiates the module and starts the plugin with its configuration.
    ///
    /// # Errors
    ///
    /// Returns an error when the plugin traps, takes too long or refuses its configuration.
    pub(crate) fn start(
        module: &Module,
        env: Rc<InstanceEnv>,
        link: Link,
    ) -> Result<Self, StartError> {
        let generation = link.generation;
        let mut store = Store::new(
            module.instantiable().module().engine(),
            State::new(env, link),
        );
        store.limiter(|state| &mut state.limits);
        match start_in(module, &mut store) {
            Ok(callbacks) => {
                store.data_mut().last_line = LastLine::Ignored;
                Ok(Self {
                    store,
                    callbacks,
                    generation,
                    born: Instant::now(),
                })
            }
            Err(cause) => Err(StartError {
                cause,
                last_line: match &mut store.data_mut().last_line {
                    LastLine::Kept(line) => line.take(),
                    LastLine::Ignored => None,
                },
            }),
        }
    }

    /// Returns the context of a stream.
    pub(crate) fn stream(&mut self, id: u32) -> Option<&mut StreamContext> {
        self.store.data_mut().contexts.find_mut(id)
    }

    /// Passes a request to the plugin in a new context.
    pub(crate) fn request(
        &mut self,
        head: RequestHead,
        end_of_stream: bool,
        facts: StreamFacts,
    ) -> wasmtime::Result<(u32, Verdict<RequestHead>)> {
        let count = field_count(head.headers.len(), REQUEST_PSEUDO);
        let state = self.store.data_mut();
        let body = RequestBuffer::counted_in(&state.kept);
        let mut stream = StreamContext::new(head, facts, body);
        stream.reads_body = self.callbacks.request_body.is_some();
        let id = state.contexts.open(stream);
        self.enter(id);
        if let Some(create) = &self.callbacks.context_create {
            create.call(&mut self.store, (id, ROOT))?;
        }
        self.enter(id);
        let action = match &self.callbacks.request_headers {
            Some(headers) => headers.call(&mut self.store, (id, count, end_of_stream.into()))?,
            None => 0,
        };
        self.apply_action(id, action)?;
        let verdict = self
            .stream(id)
            .and_then(StreamContext::take_request_verdict);
        Ok((id, verdict.unwrap_or(Verdict::Paused)))
    }

    /// Passes more of the body of a paused request to the plugin: `chunk`, after all that is buffered already. The
    /// chunk is buffered, too, unless the plugin continues the request or answers it.
    pub(crate) fn request_body(
        &mut self,
        id: u32,
        chunk: &[u8],
        end_of_stream: bool,
    ) -> wasmtime::Result<Verdict<RequestHead>> {
        let Some(stream) = self.stream(id) else {
            return Ok(Verdict::Failed);
        };
        if matches!(stream.phase, Phase::Request(_)) {
            if stream.body.append(chunk).is_err() {
                tracing::warn!("the plugin buffers too many request bodies; a request was refused");
                return Ok(Verdict::Failed);
            }
            let size = u32::try_from(stream.body.bytes().len()).unwrap_or(u32::MAX);
            if self.show_request_body(id, size, end_of_stream)? == BODY_CONTINUE
                && let Some(stream) = self.stream(id)
            {
                stream.pending.resume = true;
            }
            self.apply_pending_to(id)?;
            self.apply_pending()?;
        }
        let verdict = self
            .stream(id)
            .and_then(StreamContext::take_request_verdict);
        Ok(verdict.unwrap_or(Verdict::Paused))
    }

    /// Informs the plugin that a client sent data over its open websocket, and passes the beginning of the data.
    pub(crate) fn client_spoke(
        &mut self,
        id: u32,
        bytes: u32,
        beginning: &[u8],
    ) -> wasmtime::Result<()> {
        let Some(stream) = self.stream(id) else {
            return Ok(());
        };
        if stream.body.append(beginning).is_err() {
            return Ok(());
        }
        self.show_request_body(id, bytes, false)?;
        if let Some(stream) = self.stream(id) {
            drop(stream.body.take());
        }
        self.apply_pending_to(id)?;
        self.apply_pending()
    }

    /// Passes a response to the plugin.
    pub(crate) fn response(
        &mut self,
        id: u32,
        head: ResponseHead,
        end_of_stream: bool,
    ) -> wasmtime::Result<Verdict<ResponseHead>> {
        let Some(stream) = self
            .stream(id)
            .filter(|stream| matches!(stream.phase, Phase::Passing))
        else {
            return Ok(Verdict::Failed);
        };
        stream.phase = Phase::Response(head);
        let action = self.show_response(id, end_of_stream)?;
        self.apply_action(id, action)?;
        let verdict = self
            .stream(id)
            .and_then(StreamContext::take_response_verdict);
        Ok(verdict.unwrap_or(Verdict::Paused))
    }

    /// Ends a stream: log, done, delete.
    pub(crate) fn end(&mut self, id: u32) -> wasmtime::Result<()> {
        let Some(stream) = self.stream(id) else {
            return Ok(());
        };
        stream.phase = Phase::Over;
        self.enter(id);
        if let Some(log) = &self.callbacks.log {
            log.call(&mut self.store, id)?;
        }
        self.enter(id);
        if let Some(done) = &self.callbacks.done {
            done.call(&mut self.store, id)?;
        }
        self.enter(id);
        if let Some(delete) = &self.callbacks.delete {
            delete.call(&mut self.store, id)?;
        }
        self.store.data_mut().contexts.close(id);
        self.apply_pending()
    }

    /// Passes the reply to its HTTP call to the plugin.
    pub(crate) fn call_reply(&mut self, id: u32, reply: CallReply) -> wasmtime::Result<()> {
        let Some(callback) = &self.callbacks.http_call_response else {
            return Ok(());
        };
        let state = self.store.data_mut();
        let Some(Pending { caller, .. }) = state.calls.pending.remove(&id) else {
            return Ok(());
        };
        if let Some(stream) = state.contexts.find_mut(caller) {
            stream.calls = stream.calls.saturating_sub(1);
            // A stream that is still paused afterwards may need its body now.
            stream.wake();
        }
        let fields = field_count(reply.headers.len(), RESPONSE_PSEUDO);
        let body = u32::try_from(reply.body.len()).unwrap_or(u32::MAX);
        state.calls.reply = Some(reply);
        prepare(&mut self.store, ROOT, CALLBACK_TIME);
        callback.call(&mut self.store, (ROOT, id, fields, body, 0))?;
        self.store.data_mut().calls.reply = None;
        self.apply_pending()
    }

    /// Calls the plugin's timer callback.
    pub(crate) fn tick(&mut self) -> wasmtime::Result<()> {
        self.enter(ROOT);
        if let Some(tick) = &self.callbacks.tick {
            tick.call(&mut self.store, ROOT)?;
        }
        self.apply_pending()
    }

    /// Asks the plugin to end. Returns `false` when the plugin will call `proxy_done` later.
    pub(crate) fn end_root(&mut self) -> wasmtime::Result<bool> {
        self.enter(ROOT);
        let done = match &self.callbacks.done {
            Some(done) => done.call(&mut self.store, ROOT)? != 0,
            None => true,
        };
        self.store.data_mut().root_end = if done {
            RootEnd::Done
        } else {
            RootEnd::Waiting(None)
        };
        self.apply_pending()?;
        Ok(done)
    }

    /// Returns the state of the plugin's end.
    pub(crate) fn root_end(&mut self) -> &mut RootEnd {
        &mut self.store.data_mut().root_end
    }

    /// Deletes the plugin's root context. No callback may be called afterwards.
    pub(crate) fn delete_root(&mut self) -> wasmtime::Result<()> {
        self.enter(ROOT);
        match &self.callbacks.delete {
            Some(delete) => delete.call(&mut self.store, ROOT),
            None => Ok(()),
        }
    }

    /// Wakes all waiting tasks. The instance is gone before they run.
    pub(crate) fn abandon(&mut self) {
        self.store.data_mut().contexts.wake_all();
    }

    fn enter(&mut self, context: u32) {
        prepare(&mut self.store, context, CALLBACK_TIME);
    }

    fn show_response(&mut self, id: u32, end_of_stream: bool) -> wasmtime::Result<u32> {
        let Some(stream) = self.stream(id) else {
            return Ok(0);
        };
        let Phase::Response(head) = &stream.phase else {
            return Ok(0);
        };
        let count = field_count(head.headers.len(), RESPONSE_PSEUDO);
        stream.broken = false;
        self.enter(id);
        match &self.callbacks.response_headers {
            Some(headers) => headers.call(&mut self.store, (id, count, end_of_stream.into())),
            None => Ok(0),
        }
    }

    fn show_request_body(
        &mut self,
        id: u32,
        size: u32,
        end_of_stream: bool,
    ) -> wasmtime::Result<u32> {
        self.enter(id);
        match &self.callbacks.request_body {
            Some(body) => body.call(&mut self.store, (id, size, end_of_stream.into())),
            None => Ok(BODY_CONTINUE),
        }
    }

    /// Applies the return value of a headers callback and the actions that the plugin requested.
    fn apply_action(&mut self, id: u32, action: u32) -> wasmtime::Result<()> {
        // 2 is `ContinueAndEndStream`, which Envoy treats as `Continue`; everything else pauses.
        if matches!(action, 0 | 2)
            && let Some(stream) = self.stream(id)
        {
            stream.pending.resume = true;
        }
        self.apply_pending_to(id)?;
        self.apply_pending()
    }

    /// Applies the actions that the plugin requested during the last callback.
    fn apply_pending(&mut self) -> wasmtime::Result<()> {
        while let Some(id) = self.store.data_mut().contexts.take_touched() {
            self.apply_pending_to(id)?;
        }
        Ok(())
    }

    fn apply_pending_to(&mut self, id: u32) -> wasmtime::Result<()> {
        let Some(stream) = self.stream(id) else {
            return Ok(());
        };
        let pending = std::mem::take(&mut stream.pending);
        match &stream.phase {
            Phase::Request(_) => self.apply_pending_to_request(id, pending),
            Phase::Response(_) => {
                apply_pending_to_response(stream, pending);
                Ok(())
            }
            Phase::Passing => {
                // The head is already on its way, so that the stream can only be closed.
                if pending.close || pending.reply.is_some() {
                    stream.closed = true;
                    stream.wake();
                }
                Ok(())
            }
            Phase::RequestDecided(_) | Phase::ResponseDecided(_) | Phase::Over => Ok(()),
        }
    }

    fn apply_pending_to_request(
        &mut self,
        id: u32,
        pending: PendingActions,
    ) -> wasmtime::Result<()> {
        let shown = match pending.reply {
            Some(reply) if !pending.close => Some(self.show_reply(id, reply)?),
            _ => None,
        };
        if let Some(stream) = self.stream(id) {
            let verdict = match shown {
                Some(verdict) => verdict,
                None if pending.close => Verdict::Closed,
                None if pending.resume => stream.take_request_head(),
                None => return Ok(()),
            };
            stream.phase = Phase::RequestDecided(verdict);
            stream.wake();
        }
        Ok(())
    }

    /// Passes the plugin's own reply to it, as Envoy does. The plugin may edit or replace it, but not pause it.
    fn show_reply(&mut self, id: u32, reply: LocalReply) -> wasmtime::Result<Verdict<RequestHead>> {
        let LocalReply {
            status,
            headers,
            body,
            details,
        } = reply;
        let Some(stream) = self.stream(id) else {
            return Ok(Verdict::Failed);
        };
        stream.phase = Phase::Response(ResponseHead { status, headers });
        stream.details = Some(details.clone());
        self.show_response(id, body.is_empty())?;
        let Some(stream) = self.stream(id) else {
            return Ok(Verdict::Failed);
        };
        let pending = std::mem::take(&mut stream.pending);
        if pending.close {
            return Ok(Verdict::Closed);
        }
        if let Some(other) = pending.reply {
            stream.note_reply(&other);
            return Ok(Verdict::Reply(other));
        }
        Ok(match stream.take_response_head() {
            Verdict::Continue(ResponseHead { status, headers }) => {
                stream.status = Some(status);
                Verdict::Reply(LocalReply {
                    status,
                    headers,
                    body,
                    details,
                })
            }
            _ => Verdict::Failed,
        })
    }
}

fn apply_pending_to_response(stream: &mut StreamContext, pending: PendingActions) {
    let verdict = if pending.close {
        Verdict::Closed
    } else if let Some(reply) = pending.reply {
        stream.note_reply(&reply);
        Verdict::Reply(reply)
    } else if pending.resume {
        stream.take_response_head()
    } else {
        return;
    };
    stream.phase = Phase::ResponseDecided(verdict);
    stream.wake();
}

/// Sets the deadline of the next callback and the effective context.
fn prepare(store: &mut Store<State>, context: u32, time: Duration) {
    store.set_epoch_deadline(epochs(time));
    store.data_mut().effective = context;
}

/// Returns the number of clock steps in a duration, plus one because the current step is partly over.
const fn epochs(time: Duration) -> u64 {
    // Both are small constants.
    (time.as_millis() / EPOCH.as_millis()) as u64 + 1
}

fn field_count(headers: usize, pseudo: usize) -> u32 {
    u32::try_from(headers.saturating_add(pseudo)).unwrap_or(u32::MAX)
}

/// Runs everything that precedes the first request.
fn start_in(module: &Module, store: &mut Store<State>) -> Result<Callbacks, String> {
    prepare(store, 0, START_TIME);
    let instance = module.instantiable().instantiate(&mut *store);
    let instance = instance.map_err(failed("the plugin cannot be instantiated"))?;
    let memory = instance
        .get_memory(&mut *store, MEMORY)
        .ok_or("the plugin's export `memory` is not a memory")?;
    let mut allocator = None;
    for name in ALLOCATORS {
        if allocator.is_none() {
            allocator = function(&instance, store, name)?;
        }
    }
    store.data_mut().memory = Some(memory);
    store.data_mut().allocator = allocator.map(Rc::new);
    initialise(&instance, store)?;
    let callbacks = Callbacks::of(&instance, &mut *store)?;
    configure(&callbacks, store)?;
    Ok(callbacks)
}

/// Runs the module's own start functions: `_initialize` and its `main`, or `_start`.
fn initialise(instance: &wasmtime::Instance, store: &mut Store<State>) -> Result<(), String> {
    let Some(initialise) = function::<(), ()>(instance, store, "_initialize")? else {
        return match function::<(), ()>(instance, store, "_start")? {
            Some(start) => start
                .call(&mut *store, ())
                .map_err(failed("the plugin failed in `_start`")),
            None => Ok(()),
        };
    };
    initialise
        .call(&mut *store, ())
        .map_err(failed("the plugin failed in `_initialize`"))?;
    if let Some(main) = function::<(u32, u32), u32>(instance, store, "main")? {
        main.call(&mut *store, (0, 0))
            .map_err(failed("the plugin failed in `main`"))?;
    } else if let Some(main) = function::<(), u32>(instance, store, "__main_void")? {
        main.call(&mut *store, ())
            .map_err(failed("the plugin failed in `__main_void`"))?;
    }
    Ok(())
}

/// Creates the root context and passes the configurations of the virtual machine and of the plugin.
fn configure(callbacks: &Callbacks, store: &mut Store<State>) -> Result<(), String> {
    let config = Rc::clone(&store.data().env.config);
    let size = |bytes: &[u8]| {
        u32::try_from(bytes.len()).map_err(|_| "the plugin's configuration is too large")
    };
    if let Some(create) = &callbacks.context_create {
        prepare(store, ROOT, START_TIME);
        create
            .call(&mut *store, (ROOT, 0))
            .map_err(failed("the plugin failed to create its root context"))?;
    }
    if let Some(start) = &callbacks.vm_start {
        prepare(store, ROOT, START_TIME);
        let accepted = start
            .call(&mut *store, (ROOT, size(&config.vm_configuration)?))
            .map_err(failed("the plugin failed to start"))?;
        if accepted == 0 {
            return Err("the plugin refused to start".to_owned());
        }
    }
    if let Some(configure) = &callbacks.configure {
        prepare(store, ROOT, START_TIME);
        let accepted = configure
            .call(&mut *store, (ROOT, size(&config.configuration)?))
            .map_err(failed("the plugin failed to read its configuration"))?;
        if accepted == 0 {
            return Err("the plugin refused its configuration".to_owned());
        }
    }
    Ok(())
}

/// Formats an error with the operation that failed.
fn failed(what: &'static str) -> impl FnOnce(wasmtime::Error) -> String {
    move |error| format!("{what}: {}", fault(&error))
}

/// Formats the cause of a trap on one line.
pub(crate) fn fault(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => "it missed its deadline".to_owned(),
        Some(trap) => trap.to_string(),
        None => describe(error),
    }
}
