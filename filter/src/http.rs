//! The context of one request.

use std::rc::Rc;

use jetway_core::gate::open_stream::BEGINNING;
use jetway_core::gate::step::Forwarded;
use jetway_core::gate::{AnswerEdits, Gate, refuse_status};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType};

use crate::perform::{Performer, Phase, answer, describe_event, edit};
use crate::plugin::{BodyState, Plugin, Stream, StreamState};
use crate::root::handle_reply;

/// The context of a request. It has no plugin when the proxy sends requests through a module that was never configured.
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
                state: Rc::default(),
                body: Rc::default(),
            },
        }
    }
}

impl Context for Http {
    fn on_http_call_response(&mut self, token: u32, headers: usize, _: usize, _: usize) {
        if let Some(plugin) = &self.plugin {
            handle_reply(plugin, token, headers);
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
            self.stream.body.set(BodyState::Absent);
        }
        match &self.plugin {
            Some(plugin) => Performer::new(plugin, &self.stream, Phase::Headers).begin(),
            None => {
                log::error!("the request came before the plugin was configured");
                if hostcalls::send_http_response(503, vec![("cache-control", "no-store")], None)
                    .is_err()
                {
                    log::warn!("cannot send the response");
                }
                Action::Pause
            }
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if let Some(plugin) = &self.plugin
            && let StreamState::Forwarded(forwarded, request) = &*self.stream.state.borrow()
        {
            let response = ResponseHeaders::read(&plugin.gate, forwarded);
            if let Some(mut refusal) = refuse_status(&response.status, forwarded.switches) {
                refusal.account = plugin.account_of(self.stream.id);
                return answer(plugin, &refusal, || request.clone());
            }
            if edit_response(&plugin.gate, forwarded, &response).withheld_cookie {
                let account = plugin.account_of(self.stream.id);
                let event = "the upstream set a cookie that is reserved; it was removed";
                log::warn!("{}", describe_event(event, account.as_deref(), request));
            }
        }
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if end_of_stream {
            self.stream.body.set(BodyState::Complete);
        }
        let Some(plugin) = &self.plugin else {
            return Action::Pause;
        };
        let limit = match &*self.stream.state.borrow() {
            StreamState::Forwarded(..) => {
                if let Some(watched) = plugin.watched.borrow_mut().get_mut(&self.stream.id) {
                    watched.open.hear(size, read_beginning);
                }
                return Action::Continue;
            }
            // The request is paused, and its body with it.
            StreamState::Undecided => return Action::Pause,
            StreamState::AwaitsBody(limit) => *limit,
        };
        if end_of_stream || size > limit {
            Performer::new(plugin, &self.stream, Phase::Headers).begin_with_body(limit)
        } else {
            Action::Pause
        }
    }
}

/// The part of a response that the module reads: its status, and all headers if its edits depend on them.
struct ResponseHeaders {
    /// The status; empty if the response has none.
    status: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

impl ResponseHeaders {
    /// Reads all headers, the status among them, in one call of the proxy if they are needed. Otherwise it reads the status and
    /// whether a cookie is set: reading one header is much cheaper than reading all, and most responses set no cookie.
    fn read(gate: &Gate, forwarded: &Forwarded) -> Self {
        let map = MapType::HttpResponseHeaders;
        if gate.reads_answer(forwarded) {
            let headers = hostcalls::get_map_bytes(map).unwrap_or_default();
            let status = headers.iter().find(|(name, _)| name == ":status");
            let status = status.map(|(_, value)| value.clone()).unwrap_or_default();
            return Self { status, headers };
        }
        let read = |name| hostcalls::get_map_value_bytes(map, name).ok().flatten();
        let headers = match read("set-cookie") {
            Some(_) => hostcalls::get_map_bytes(map).unwrap_or_default(),
            None => Vec::new(),
        };
        let status = read(":status").unwrap_or_default();
        Self { status, headers }
    }
}

/// Returns the beginning of the current chunk of the request's body.
fn read_beginning() -> Option<Vec<u8>> {
    let part = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, BEGINNING);
    part.ok().flatten()
}

/// Edits the headers of the upstream's response, and returns the edits.
fn edit_response<'g>(
    gate: &'g Gate,
    forwarded: &'g Forwarded,
    response: &ResponseHeaders,
) -> AnswerEdits<'g> {
    let answer = gate.edit_answer(forwarded, &response.headers);
    for change in &answer.edits {
        if edit(MapType::HttpResponseHeaders, change).is_err() {
            log::warn!("cannot edit the headers of the response");
        }
    }
    answer
}
