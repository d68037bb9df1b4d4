//! Doing what the core decided, for the request that is in effect.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jetway_core::gate::Gate;
use jetway_core::gate::step::{Forward, Step};
use jetway_core::gate::waiting::Waiting;
use jetway_core::http::edit::Edit;
use jetway_core::http::forwarded::read_address;
use jetway_core::http::reply::Reply;
use jetway_core::http::request::Request;
use jetway_core::oidc::call::{MAX_PROVIDER_BODY, ProviderCall, ProviderReply};
use jetway_core::refusal::repeats::Summary;
use jetway_core::time::Timestamp;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, MapType, Status};

use crate::plugin::{
    Arrival, BUSY_TICK, Fate, Held, MAX_HELD, Pending, Plugin, SOON, Stream, now, with_env,
};

/// Whether the request has to be let go by a call, because its callback returned long ago.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In the request's own headers callback.
    Headers,
    /// Afterwards: the request is paused.
    Paused,
}

/// Reads the request in effect and decides about it from the beginning.
pub(crate) fn begin(plugin: &Plugin, stream: &Stream, phase: Phase) -> Action {
    let Ok(headers) = hostcalls::get_map_bytes(MapType::HttpRequestHeaders) else {
        return Action::Pause;
    };
    let request = Request::new(&headers).from(source(&plugin.gate, &headers));
    let step = with_env(|env| plugin.gate.begin(&request, env));
    perform(plugin, stream, phase, step, &request)
}

/// Decides anew about the request in effect, whose body has come or is longer than `limit`.
pub(crate) fn begin_with_body(plugin: &Plugin, stream: &Stream, limit: usize) -> Action {
    let headers = hostcalls::get_map_bytes(MapType::HttpRequestHeaders);
    let (Ok(headers), Ok(body)) = (headers, kept_body(limit)) else {
        return Action::Pause;
    };
    let request = Request::new(&headers)
        .from(source(&plugin.gate, &headers))
        .body(&body);
    let step = with_env(|env| plugin.gate.begin(&request, env));
    perform(plugin, stream, Phase::Headers, step, &request)
}

/// What the proxy keeps of the body of the request in effect, and no more than a byte beyond `limit`.
fn kept_body(limit: usize) -> Result<Vec<u8>, Status> {
    let body = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, limit + 1)?;
    Ok(body.unwrap_or_default())
}

/// The client's address as the proxy trusts it, when it matters for a request with these headers.
fn source(gate: &Gate, headers: &[(String, Vec<u8>)]) -> Option<IpAddr> {
    if !gate.asks_for_address(headers) {
        return None;
    }
    source_address()
}

/// The client's address as the proxy trusts it.
fn source_address() -> Option<IpAddr> {
    let address = hostcalls::get_property(vec!["source", "address"]).ok()??;
    read_address(&address)
}

/// Goes on with the request in effect, whose call was answered.
pub(crate) fn resume(
    plugin: &Plugin,
    stream: &Stream,
    waiting: Waiting,
    reply: &ProviderReply<'_>,
) {
    let Ok(headers) = hostcalls::get_map_bytes(MapType::HttpRequestHeaders) else {
        return;
    };
    let request = Request::new(&headers).from(source(&plugin.gate, &headers));
    let step = with_env(|env| waiting.resume(&plugin.gate, &request, reply, env));
    perform(plugin, stream, Phase::Paused, step, &request);
}

/// Decides about the request in effect, which waited too long.
pub(crate) fn give_up(plugin: &Plugin, stream: &Stream) {
    let Ok(headers) = hostcalls::get_map_bytes(MapType::HttpRequestHeaders) else {
        return;
    };
    let request = Request::new(&headers).from(source(&plugin.gate, &headers));
    let step = with_env(|env| plugin.gate.begin_without(&request, env));
    perform(plugin, stream, Phase::Paused, step, &request);
}

fn perform(
    plugin: &Plugin,
    stream: &Stream,
    phase: Phase,
    mut step: Step,
    request: &Request<'_>,
) -> Action {
    if plugin.gate.has_refreshes() {
        plugin.tick_within(SOON);
    }
    // A call that cannot even be sent is answered on the spot; each answer moves the sign-in on, and a request that cannot
    // be held is decided about at once, so this ends.
    loop {
        match step {
            Step::Forward(forward) => return let_through(plugin, stream, forward, phase),
            Step::Reply(answer) => return reply(plugin, stream, &answer),
            Step::Hold { until } if hold(plugin, stream, until) => return Action::Pause,
            Step::Hold { .. } => {
                step = with_env(|env| plugin.gate.begin_without(request, env));
            }
            Step::ReadBody { limit } => {
                // Whatever has come already does not come again.
                let body = match stream.arrival.get() {
                    Arrival::Headers => {
                        *stream.fate.borrow_mut() = Fate::AwaitsBody(limit);
                        return Action::Pause;
                    }
                    Arrival::WithoutBody => Ok(Vec::new()),
                    Arrival::Whole => kept_body(limit),
                };
                let Ok(body) = body else {
                    return Action::Pause;
                };
                let request = request.body(&body);
                step = with_env(|env| plugin.gate.begin(&request, env));
            }
            Step::Call(call, waiting) => match send(&call) {
                Ok(token) => {
                    plugin
                        .calls
                        .borrow_mut()
                        .insert(token, Pending::Request(stream.clone(), waiting));
                    return Action::Pause;
                }
                Err(status) => {
                    log::warn!("{call:?} could not be sent: {status:?}");
                    let nothing = &ProviderReply::NONE;
                    step = with_env(|env| waiting.resume(&plugin.gate, request, nothing, env));
                }
            },
        }
    }
}

fn let_through(plugin: &Plugin, stream: &Stream, mut forward: Forward, phase: Phase) -> Action {
    for change in forward.edits() {
        if edit(MapType::HttpRequestHeaders, change).is_err() {
            // Without the edit the upstream would see what it must not: the request stays where it is.
            return Action::Pause;
        }
    }
    if let Some(watched) = forward.take_open_stream() {
        plugin.watched.borrow_mut().insert(stream.id, watched);
    }
    if let Some(warning) = forward.warning() {
        log::warn!("{warning}");
    }
    *stream.fate.borrow_mut() = Fate::Forwarded(forward.forwarded().clone());
    if phase == Phase::Paused && hostcalls::resume_http_request().is_err() {
        return Action::Pause;
    }
    Action::Continue
}

/// Changes one header.
pub(crate) fn edit(map: MapType, change: &Edit<'_>) -> Result<(), Status> {
    match change {
        Edit::Remove(name) => hostcalls::remove_map_value(map, name),
        Edit::Set(name, value) => hostcalls::set_map_value_bytes(map, name, Some(value)),
        Edit::Add(name, value) => hostcalls::add_map_value_bytes(map, name, value),
    }
}

fn reply(plugin: &Plugin, stream: &Stream, reply: &Reply) -> Action {
    *stream.fate.borrow_mut() = Fate::Kept;
    answer(plugin, reply)
}

/// Answers the request in effect, in the place of an upstream or of its answer.
pub(crate) fn answer(plugin: &Plugin, reply: &Reply) -> Action {
    if is_logged(plugin, reply) {
        log::info!("{} status={}", reply.event, reply.status);
    }
    let headers: Vec<(&str, &str)> = reply
        .headers
        .iter()
        .map(|(name, value)| (&**name, value.as_str()))
        .collect();
    let body = Some(reply.body.as_bytes()).filter(|body| !body.is_empty());
    if hostcalls::send_http_response(u32::from(reply.status), headers, body).is_err() {
        log::warn!("the answer could not be sent");
    }
    Action::Pause
}

/// Counts an answer that the log sums up, and tells whether it is among the first, which are logged whole.
fn is_logged(plugin: &Plugin, reply: &Reply) -> bool {
    if !reply.is_summed_up() {
        return true;
    }
    // Clients whose address the proxy does not tell are one client.
    let client = source_address().unwrap_or_else(|| Ipv4Addr::UNSPECIFIED.into());
    let mut repeats = plugin.repeats.borrow_mut();
    repeats.note(client, reply.status, now())
}

/// Logs how many answers were not logged whole, of the windows that are over.
pub(crate) fn sum_up(plugin: &Plugin) {
    tell(&plugin.repeats.borrow_mut().end_windows(now()));
}

/// Logs how many answers were not logged whole up to now.
pub(crate) fn sum_up_all(plugin: &Plugin) {
    tell(&plugin.repeats.borrow_mut().finish(now()));
}

fn tell(summaries: &[Summary]) {
    for summary in summaries {
        log::info!("{summary}");
    }
}

/// Keeps the request waiting, if there is room.
fn hold(plugin: &Plugin, stream: &Stream, until: Timestamp) -> bool {
    if plugin.held.borrow().len() >= MAX_HELD {
        return false;
    }
    plugin.held.borrow_mut().push(Held {
        stream: stream.clone(),
        until,
    });
    plugin.tick_within(BUSY_TICK);
    true
}

/// Sends a call to the provider.
pub(crate) fn send(call: &ProviderCall) -> Result<u32, Status> {
    let mut headers = vec![
        (":method", call.method),
        (":path", &call.path),
        (":authority", &call.authority),
        (
            ":scheme",
            if call.upstream.starts_with("https:") {
                "https"
            } else {
                "http"
            },
        ),
    ];
    headers.extend(
        call.headers
            .iter()
            .map(|(name, value)| (*name, value.as_str())),
    );
    let body = Some(call.body.as_bytes()).filter(|body| !body.is_empty());
    let timeout = Duration::from_millis(u64::from(call.timeout_ms));
    hostcalls::dispatch_http_call(&call.upstream, headers, body, Vec::new(), timeout)
}

/// Reads the answer of the call whose callback is running, which has so many headers, and passes it to `take`.
pub(crate) fn with_answer<T>(headers: usize, take: impl FnOnce(&ProviderReply<'_>) -> T) -> T {
    if headers == 0 {
        // There is no answer to read: Envoy refuses to, and the SDK takes that for a fault of the module's.
        return take(&ProviderReply::NONE);
    }
    let header = |name| {
        let value = hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name);
        value.ok().flatten()
    };
    let status = header(":status");
    let status = status
        .and_then(|status| std::str::from_utf8(&status).ok()?.parse().ok())
        .unwrap_or_default();
    let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, MAX_PROVIDER_BODY + 1)
        .ok()
        .flatten();
    take(&ProviderReply {
        status,
        body: &body.unwrap_or_default(),
        date: &header("date").unwrap_or_default(),
    })
}
