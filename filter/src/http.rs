//! One request.

use std::cell::Cell;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};

use crate::perform::{Phase, begin};
use crate::plugin::{Plugin, Stream};
use crate::root::answered;

/// A request's context. It has no plugin when the body runs requests through a module that was never configured.
pub(crate) struct Http {
    plugin: Option<Rc<Plugin>>,
    stream: Stream,
}

impl Http {
    pub(crate) fn new(id: u32, plugin: Option<Rc<Plugin>>) -> Self {
        Self {
            plugin,
            stream: Stream {
                id,
                replied: Rc::new(Cell::new(false)),
            },
        }
    }
}

impl Context for Http {
    fn on_http_call_response(&mut self, token: u32, _: usize, _: usize, _: usize) {
        if let Some(plugin) = &self.plugin {
            answered(plugin, token);
        }
    }

    fn on_done(&mut self) -> bool {
        if let Some(plugin) = &self.plugin {
            plugin.forget(self.stream.id);
        }
        true
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        match &self.plugin {
            Some(plugin) => begin(plugin, &self.stream, Phase::Headers),
            None => {
                log::error!("a request came before the plugin was configured");
                self.stream.replied.set(true);
                if hostcalls::send_http_response(503, vec![("cache-control", "no-store")], None)
                    .is_err()
                {
                    log::warn!("the answer could not be sent");
                }
                Action::Pause
            }
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if let Some(plugin) = &self.plugin
            && !self.stream.replied.get()
        {
            keep_own_cookies(plugin);
        }
        Action::Continue
    }
}

/// Removes `Set-Cookie` lines of an upstream that would replace our cookies.
fn keep_own_cookies(plugin: &Plugin) {
    let map = MapType::HttpResponseHeaders;
    // Most responses set no cookie, and asking for one header is much cheaper than reading all.
    let Ok(Some(_)) = hostcalls::get_map_value_bytes(map, "set-cookie") else {
        return;
    };
    let Ok(headers) = hostcalls::get_map_bytes(map) else {
        return;
    };
    let cookies: Vec<&[u8]> = headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| value.as_slice())
        .collect();
    if !cookies.iter().any(|cookie| plugin.gate.owns_cookie(cookie)) {
        return;
    }
    log::warn!("the upstream tried to set a cookie of ours");
    let mut done = hostcalls::remove_map_value(map, "set-cookie");
    for cookie in cookies
        .into_iter()
        .filter(|cookie| !plugin.gate.owns_cookie(cookie))
    {
        done = done.and_then(|()| hostcalls::add_map_value_bytes(map, "set-cookie", cookie));
    }
    if done.is_err() {
        log::warn!("the upstream's cookies could not be set again");
    }
}
