//! The root context: configured once, then called by the timer.

use std::collections::HashMap;
use std::rc::Rc;

use jetway_core::config::Config;
use jetway_core::contract::{LAST_MESSAGE_PROPERTY, SECRET_VARIABLES};
use jetway_core::gate::Gate;
use jetway_core::gate::Progress;
use jetway_core::gate::open_stream::{Recheck, RecheckRound, StreamClose};
use jetway_core::oidc::call::{ProviderCall, ProviderReply};
use jetway_core::oidc::provider::{Absorbed, ProviderDue};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, Status};

use crate::http::Http;
use crate::perform::{Performer, Phase, describe_event, send, sum_up, sum_up_all, with_reply};
use crate::plugin::{
    BUSY_TICK, IDLE_TICK, PausedRequest, Pending, Plugin, REFRESH_TICK, StreamState, now, with_env,
};

/// The root context. Until it is configured it has no plugin, and every request is refused.
#[derive(Default)]
pub(crate) struct Root {
    plugin: Option<Rc<Plugin>>,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, _: usize, _: usize) {
        if let Some(plugin) = &self.plugin {
            handle_reply(plugin, token, headers);
        }
    }

    fn on_done(&mut self) -> bool {
        if let Some(plugin) = &self.plugin {
            sum_up_all(plugin);
        }
        true
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let Some(gate) = configure(&text) else {
            return false;
        };
        let plugin = Plugin::new(gate, plugin_name());
        // The proxy may still discard this configuration. If it does not, the timer publishes it at once.
        plugin.tick_every(BUSY_TICK);
        self.plugin = Some(Rc::new(plugin));
        true
    }

    fn on_tick(&mut self) {
        let Some(plugin) = &self.plugin else { return };
        with_env(|env| plugin.gate.publish_policies(&plugin.name, env));
        match with_env(|env| plugin.gate.due(env)) {
            ProviderDue::Call(call) => fetch(plugin, &call),
            ProviderDue::Ready => wake_all(plugin),
            ProviderDue::Nothing => {}
        }
        if with_env(|env| plugin.gate.take_ended_refreshes(env)) {
            wake_all(plugin);
        }
        if let Some(warning) = plugin.gate.take_provider_warning() {
            log::warn!("{warning}");
        }
        send_refreshes(plugin);
        give_up_overdue(plugin);
        recheck_streams(plugin);
        sum_up(plugin);
        let is_busy = plugin.gate.has_refreshes() || !plugin.round.borrow().is_over();
        plugin.tick_every(if is_busy {
            REFRESH_TICK
        } else if plugin.held.borrow().is_empty() {
            IDLE_TICK
        } else {
            BUSY_TICK
        });
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(id, self.plugin.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn configure(text: &[u8]) -> Option<Gate> {
    let value = match jetway_core::json::parse(text) {
        Ok(value) => value,
        Err(error) => {
            log::error!("the plugin configuration is not JSON: {error}");
            return None;
        }
    };
    // Only secrets come from the environment here. Other overrides were applied before the file became JSON.
    let secrets: HashMap<&str, String> = SECRET_VARIABLES
        .iter()
        .filter_map(|(_, name)| Some((*name, std::env::var(name).ok()?)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    match Config::read(&value, &|name| secrets.get(name).cloned()) {
        Ok(loaded) => Some(Gate::new(loaded.config)),
        Err(error) => {
            for problem in &error.problems {
                log::error!("configuration: {problem}");
            }
            None
        }
    }
}

/// Returns the name by which the proxy distinguishes this plugin from others in its process. A reloaded configuration of the
/// same plugin has the same name.
fn plugin_name() -> String {
    let read = |property| {
        let value = hostcalls::get_property(vec![property]).ok().flatten();
        String::from_utf8_lossy(&value.unwrap_or_default()).into_owned()
    };
    format!("{} {}", read("plugin_name"), read("plugin_root_id"))
}

/// Handles the end of a call to the provider. `headers` is zero when the call failed: the connection broke or the call timed
/// out.
pub(crate) fn handle_reply(plugin: &Plugin, token: u32, headers: usize) {
    let pending = plugin.calls.borrow_mut().remove(&token);
    match pending {
        Some(Pending::Provider) => with_reply(headers, |reply| absorb(plugin, reply)),
        Some(Pending::Request(stream, waiting)) => with_reply(headers, |reply| {
            if hostcalls::set_effective_context(stream.id).is_ok() {
                Performer::new(plugin, &stream, Phase::Paused).resume(waiting, reply);
            }
        }),
        Some(Pending::Refresh(refreshing)) => {
            let progress = with_reply(headers, |reply| {
                with_env(|env| refreshing.resume(&plugin.gate, reply, env))
            });
            continue_refresh(plugin, progress);
        }
        // The request has ended.
        None => {}
    }
}

/// Sends the refreshes that are due. They are calls of the root context, whose reply arrives even if the request that caused
/// them ends: a lost reply would lose the session's only refresh token.
fn send_refreshes(plugin: &Plugin) {
    while let Some((call, refreshing)) = with_env(|env| plugin.gate.next_refresh(env)) {
        continue_refresh(plugin, Progress::Call(call, refreshing));
    }
}

fn continue_refresh(plugin: &Plugin, mut progress: Progress) {
    // The loop ends: a call that cannot be sent is answered at once, and each answer moves the refresh on.
    loop {
        match progress {
            Progress::Call(call, refreshing) => match send(&call) {
                Ok(token) => {
                    let mut calls = plugin.calls.borrow_mut();
                    calls.insert(token, Pending::Refresh(refreshing));
                    return;
                }
                Err(status) => {
                    log::warn!("cannot send {call:?}: {status:?}");
                    let nothing = &ProviderReply::NONE;
                    progress = with_env(|env| refreshing.resume(&plugin.gate, nothing, env));
                }
            },
            Progress::Over(event) => {
                log::info!("{event}");
                return wake_all(plugin);
            }
        }
    }
}

/// Rechecks open streams and closes those that may not stay open. Each tick does one slice, so that other requests are
/// served between two slices.
fn recheck_streams(plugin: &Plugin) {
    let mut round = plugin.round.take();
    if round.is_over() {
        let now = now();
        if plugin.looked_at.replace(now) == now {
            return;
        }
        round = RecheckRound::new(plugin.watched.borrow().keys().copied());
    }
    round.run_slice(|id| recheck_stream(plugin, id));
    plugin.round.replace(round);
}

/// Closes an open stream if it may not stay open, and returns whether it was closed.
fn recheck_stream(plugin: &Plugin, id: u32) -> bool {
    let verdict = {
        let mut watched = plugin.watched.borrow_mut();
        let Some(watched) = watched.get_mut(&id) else {
            // The stream has ended since the round began.
            return false;
        };
        with_env(|env| plugin.gate.recheck(&mut watched.open, env))
    };
    let Recheck::Close(close) = verdict else {
        return false;
    };
    if close_stream(plugin, id, &close).is_err() {
        log::warn!("cannot close the stream");
    }
    true
}

/// Logs why a stream is closed, with the request that opened it, and closes it.
fn close_stream(plugin: &Plugin, id: u32, close: &StreamClose) -> Result<(), Status> {
    let is_entered = hostcalls::set_effective_context(id);
    if let Some(watched) = plugin.watched.borrow_mut().remove(&id)
        && let StreamState::Forwarded(_, request) = &*watched.stream.state.borrow()
    {
        let account = watched.open.account();
        log::info!("{}", describe_event(&close.event, account, request));
    }
    is_entered?;
    // The message is only for people: without it the stream ends as well.
    if let Some(message) = close.last_message
        && let Err(status) =
            hostcalls::set_property(vec![LAST_MESSAGE_PROPERTY], Some(message.as_bytes()))
    {
        log::warn!("cannot attach the last message of a stream: {status:?}");
    }
    hostcalls::reset_http_request()
}

fn fetch(plugin: &Plugin, call: &ProviderCall) {
    match send(call) {
        Ok(token) => {
            plugin.calls.borrow_mut().insert(token, Pending::Provider);
        }
        Err(status) => {
            log::warn!("cannot send {call:?}: {status:?}");
            absorb(plugin, &ProviderReply::NONE);
        }
    }
}

fn absorb(plugin: &Plugin, reply: &ProviderReply<'_>) {
    match with_env(|env| plugin.gate.absorb(reply, env)) {
        Absorbed::Next(call) => fetch(plugin, &call),
        Absorbed::Ready => wake_all(plugin),
        Absorbed::Failed(why) => log::warn!("the provider cannot be used: {why}"),
    }
}

/// Decides every paused request again, after the provider or a session has changed.
fn wake_all(plugin: &Plugin) {
    let held = std::mem::take(&mut *plugin.held.borrow_mut());
    for paused in held {
        if hostcalls::set_effective_context(paused.stream.id).is_ok() {
            Performer::of_paused(plugin, &paused).begin();
        }
    }
}

/// Answers the requests that have been paused for too long.
fn give_up_overdue(plugin: &Plugin) {
    let now = now();
    let overdue: Vec<PausedRequest> = plugin
        .held
        .borrow_mut()
        .extract_if(.., |held| held.until <= now)
        .collect();
    for paused in overdue {
        if hostcalls::set_effective_context(paused.stream.id).is_ok() {
            Performer::of_paused(plugin, &paused).give_up();
        }
    }
}
