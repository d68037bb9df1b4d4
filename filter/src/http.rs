//! One request.

use std::rc::Rc;

use jetway_core::gate::open_stream::BEGINNING;
use jetway_core::gate::step::Forwarded;
use jetway_core::gate::{Gate, refuse_status};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType};

use crate::perform::{Phase, answer, begin, begin_with_body, edit};
use crate::plugin::{Arrival, Fate, Plugin, Stream};
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
                fate: Rc::default(),
                arrival: Rc::default(),
            },
        }
    }
}

impl Context for Http {
    fn on_http_call_response(&mut self, token: u32, headers: usize, _: usize, _: usize) {
        if let Some(plugin) = &self.plugin {
            answered(plugin, token, headers);
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
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        if end_of_stream {
            self.stream.arrival.set(Arrival::WithoutBody);
        }
        match &self.plugin {
            Some(plugin) => begin(plugin, &self.stream, Phase::Headers),
            None => {
                log::error!("a request came before the plugin was configured");
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
            && let Fate::Forwarded(forwarded) = &*self.stream.fate.borrow()
        {
            if let Some(refusal) = refuse_status(&status(), forwarded.switches) {
                return answer(plugin, &refusal);
            }
            edit_answer(&plugin.gate, forwarded);
        }
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if end_of_stream {
            self.stream.arrival.set(Arrival::Whole);
        }
        let Some(plugin) = &self.plugin else {
            return Action::Pause;
        };
        let limit = match &*self.stream.fate.borrow() {
            Fate::Forwarded(_) => {
                if let Some(watched) = plugin.watched.borrow_mut().get_mut(&self.stream.id) {
                    watched.hear(size, beginning);
                }
                return Action::Continue;
            }
            // A body waits with its request.
            Fate::Kept => return Action::Pause,
            Fate::AwaitsBody(limit) => *limit,
        };
        if end_of_stream || size > limit {
            begin_with_body(plugin, &self.stream, limit)
        } else {
            Action::Pause
        }
    }
}

/// The status of the answer that is passing; empty when it has none.
fn status() -> Vec<u8> {
    let status = hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, ":status");
    status.ok().flatten().unwrap_or_default()
}

/// How the part of the request's body begins that is passing.
fn beginning() -> Option<Vec<u8>> {
    let part = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, BEGINNING);
    part.ok().flatten()
}

/// Edits the headers of an upstream's answer.
fn edit_answer(gate: &Gate, forwarded: &Forwarded) {
    let map = MapType::HttpResponseHeaders;
    // Asking for one header is much cheaper than reading all, and most answers set no cookie.
    let read = gate.reads_answer(forwarded)
        || matches!(
            hostcalls::get_map_value_bytes(map, "set-cookie"),
            Ok(Some(_))
        );
    let headers = if read {
        hostcalls::get_map_bytes(map).unwrap_or_default()
    } else {
        Vec::new()
    };
    let answer = gate.edit_answer(forwarded, &headers);
    if answer.withheld_cookie {
        log::warn!("the upstream tried to set a cookie that it may not set");
    }
    for change in &answer.edits {
        if edit(map, change).is_err() {
            log::warn!("the headers of an answer could not be edited");
        }
    }
}
