//! The plugin as a whole: configured once, woken by the timer.

use std::collections::HashMap;
use std::rc::Rc;

use jetway_core::config::Config;
use jetway_core::contract::SECRET_VARIABLES;
use jetway_core::gate::Gate;
use jetway_core::oidc::provider::{Absorbed, Due};
use jetway_core::step::{ProviderCall, ProviderReply};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::http::Http;
use crate::perform::{Phase, begin, give_up, resume, send, with_answer};
use crate::plugin::{Held, IDLE_TICK, Pending, Plugin, now, with_env};

/// The root context. Without a plugin, until it is configured, every request is refused.
#[derive(Default)]
pub(crate) struct Root {
    plugin: Option<Rc<Plugin>>,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _: usize, _: usize, _: usize) {
        if let Some(plugin) = &self.plugin {
            answered(plugin, token);
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let Some(gate) = configure(&text) else {
            return false;
        };
        self.plugin = Some(Rc::new(Plugin::new(gate)));
        self.set_tick_period(IDLE_TICK);
        true
    }

    fn on_tick(&mut self) {
        let Some(plugin) = &self.plugin else { return };
        match with_env(|env| plugin.gate.due(env)) {
            Due::Call(call) => fetch(plugin, &call),
            Due::Ready => wake_all(plugin),
            Due::Nothing => {}
        }
        give_up_late(plugin);
        if plugin.held.borrow().is_empty() && hostcalls::set_tick_period(IDLE_TICK).is_err() {
            log::warn!("the timer could not be set");
        }
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

/// An answer of the provider has come, for everybody or for one sign-in.
pub(crate) fn answered(plugin: &Plugin, token: u32) {
    let pending = plugin.calls.borrow_mut().remove(&token);
    match pending {
        Some(Pending::Provider) => with_answer(|reply| absorb(plugin, reply)),
        Some(Pending::Request(stream, waiting)) => with_answer(|reply| {
            if hostcalls::set_effective_context(stream.id).is_ok() {
                resume(plugin, &stream, waiting, reply);
            }
        }),
        // The request is over.
        None => {}
    }
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

/// The metadata is there: every held request is decided about anew.
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
            give_up(&plugin.gate, &stream);
        }
    }
}
