//! The plugin as a whole: configured once, woken by the timer.

use std::collections::HashMap;
use std::rc::Rc;

use jetway_core::config::Config;
use jetway_core::contract::SECRET_VARIABLES;
use jetway_core::gate::Gate;
use jetway_core::gate::Progress;
use jetway_core::gate::open_stream::{Recheck, RecheckRound};
use jetway_core::oidc::call::{ProviderCall, ProviderReply};
use jetway_core::oidc::provider::{Absorbed, ProviderDue};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::http::Http;
use crate::perform::{Phase, begin, give_up, resume, send, sum_up, sum_up_all, with_answer};
use crate::plugin::{BUSY_TICK, Held, IDLE_TICK, Pending, Plugin, SOON, now, with_env};

/// The root context. Without a plugin, until it is configured, every request is refused.
#[derive(Default)]
pub(crate) struct Root {
    plugin: Option<Rc<Plugin>>,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, _: usize, _: usize) {
        if let Some(plugin) = &self.plugin {
            answered(plugin, token, headers);
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
        let plugin = Plugin::new(gate, own_name());
        // A body may still give this configuration up; the timer of one that is used turns at once.
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
        send_refreshs(plugin);
        give_up_late(plugin);
        recheck_streams(plugin);
        sum_up(plugin);
        let is_busy = plugin.gate.has_refreshes() || !plugin.round.borrow().is_over();
        plugin.tick_every(if is_busy {
            SOON
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
    // Only secrets come by environment here: whatever else overrides the file did so before it became JSON.
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

/// By what the body tells this plugin from others in its process. Another file for the same plugin has the same name.
fn own_name() -> String {
    let text = |property| {
        let value = hostcalls::get_property(vec![property]).ok().flatten();
        String::from_utf8_lossy(&value.unwrap_or_default()).into_owned()
    };
    format!("{} {}", text("plugin_name"), text("plugin_root_id"))
}

/// An answer of the provider has come, for everybody or for one sign-in. It has no `headers` when the connection ended, or
/// the time of the call was over, in the middle of it.
pub(crate) fn answered(plugin: &Plugin, token: u32, headers: usize) {
    let pending = plugin.calls.borrow_mut().remove(&token);
    match pending {
        Some(Pending::Provider) => with_answer(headers, |reply| absorb(plugin, reply)),
        Some(Pending::Request(stream, waiting)) => with_answer(headers, |reply| {
            if hostcalls::set_effective_context(stream.id).is_ok() {
                resume(plugin, &stream, waiting, reply);
            }
        }),
        Some(Pending::RefreshGrant(refreshing)) => {
            let progress = with_answer(headers, |reply| {
                with_env(|env| refreshing.resume(&plugin.gate, reply, env))
            });
            go_on(plugin, progress);
        }
        // The request is over.
        None => {}
    }
}

/// Sends what waits for the timer. Only a call of the root context is answered whatever becomes of the request that is the
/// reason for it, and an answer that is lost takes a session's only refresh token with it.
fn send_refreshs(plugin: &Plugin) {
    while let Some((call, refreshing)) = with_env(|env| plugin.gate.next_refresh(env)) {
        go_on(plugin, Progress::Call(call, refreshing));
    }
}

fn go_on(plugin: &Plugin, mut progress: Progress) {
    // A call that cannot even be sent is answered on the spot; each answer moves the refresh on, so this ends.
    loop {
        match progress {
            Progress::Call(call, refreshing) => match send(&call) {
                Ok(token) => {
                    let mut calls = plugin.calls.borrow_mut();
                    calls.insert(token, Pending::RefreshGrant(refreshing));
                    return;
                }
                Err(status) => {
                    log::warn!("{call:?} could not be sent: {status:?}");
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

/// Rechecks open streams and closes those that may not stay open, one slice per tick, so that other requests are served
/// between two slices.
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

/// Closes an open stream if it may not stay open, and returns whether it did.
fn recheck_stream(plugin: &Plugin, id: u32) -> bool {
    let verdict = {
        let mut watched = plugin.watched.borrow_mut();
        let Some(watched) = watched.get_mut(&id) else {
            // The stream has ended since the round began.
            return false;
        };
        with_env(|env| plugin.gate.recheck(watched, env))
    };
    let Recheck::Close(event) = verdict else {
        return false;
    };
    log::info!("{event}");
    plugin.watched.borrow_mut().remove(&id);
    let closed =
        hostcalls::set_effective_context(id).and_then(|()| hostcalls::reset_http_request());
    if closed.is_err() {
        log::warn!("a stream could not be closed");
    }
    true
}

fn fetch(plugin: &Plugin, call: &ProviderCall) {
    match send(call) {
        Ok(token) => {
            plugin.calls.borrow_mut().insert(token, Pending::Provider);
        }
        Err(status) => {
            log::warn!("{call:?} could not be sent: {status:?}");
            absorb(plugin, &ProviderReply::NONE);
        }
    }
}

fn absorb(plugin: &Plugin, reply: &ProviderReply<'_>) {
    match with_env(|env| plugin.gate.absorb(reply, env)) {
        Absorbed::Next(call) => fetch(plugin, &call),
        Absorbed::Ready => wake_all(plugin),
        Absorbed::Failed(why) => log::warn!("the provider is not usable: {why}"),
    }
}

/// Decides about every held request again: there is news of the provider, or a refresh has ended.
fn wake_all(plugin: &Plugin) {
    let held = std::mem::take(&mut *plugin.held.borrow_mut());
    for Held { stream, .. } in held {
        if hostcalls::set_effective_context(stream.id).is_ok() {
            begin(plugin, &stream, Phase::Paused);
        }
    }
}

fn give_up_late(plugin: &Plugin) {
    let now = now();
    let late: Vec<Held> = plugin
        .held
        .borrow_mut()
        .extract_if(.., |held| held.until <= now)
        .collect();
    for Held { stream, .. } in late {
        if hostcalls::set_effective_context(stream.id).is_ok() {
            give_up(plugin, &stream);
        }
    }
}
