//! Performs what the core decided, for the request that is the effective context.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jetway_core::contract::{ACCOUNT_PROPERTY, DECISION_PROPERTY, REASONS_PROPERTY};
use jetway_core::env::Env;
use jetway_core::gate::Gate;
use jetway_core::gate::step::{Forward, Step};
use jetway_core::gate::waiting::Waiting;
use jetway_core::http::edit::Edit;
use jetway_core::http::forwarded::read_address;
use jetway_core::http::log_line::{DecisionLine, RequestSummary, escape};
use jetway_core::http::reply::Reply;
use jetway_core::http::request::Request;
use jetway_core::oidc::call::{MAX_PROVIDER_BODY, ProviderCall, ProviderReply};
use jetway_core::refusal::repeats::Summary;
use jetway_core::time::Timestamp;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, MapType, Status};

use crate::plugin::{
    BUSY_TICK, BodyState, MAX_HELD, PausedRequest, Pending, Plugin, REFRESH_TICK, Stream,
    StreamState, WatchedStream, now, with_env,
};

/// When a step is performed: this decides how a request is let through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// During a callback of the request itself, whose return value lets it through.
    Headers,
    /// Later, while the request is paused: a host call lets it through.
    Paused,
}

/// Performs the core's steps for one request, which has to be the effective context.
#[derive(Clone, Copy)]
pub(crate) struct Performer<'a> {
    plugin: &'a Plugin,
    stream: &'a Stream,
    phase: Phase,
    /// Since when the request has been held, if it was.
    held_since: Option<Timestamp>,
}

impl<'a> Performer<'a> {
    /// Returns the performer of a request.
    pub(crate) const fn new(plugin: &'a Plugin, stream: &'a Stream, phase: Phase) -> Self {
        Self {
            plugin,
            stream,
            phase,
            held_since: None,
        }
    }

    /// Returns the performer of a request that was held until now.
    pub(crate) fn of_paused(plugin: &'a Plugin, paused: &'a PausedRequest) -> Self {
        Self {
            held_since: Some(paused.since),
            ..Self::new(plugin, &paused.stream, Phase::Paused)
        }
    }

    /// Reads the request and decides it from the beginning.
    pub(crate) fn begin(self) -> Action {
        self.decide(|request, env| self.plugin.gate.begin(request, env))
    }

    /// Decides the request again, whose body has come or is longer than `limit`.
    pub(crate) fn begin_with_body(self, limit: usize) -> Action {
        let Ok(body) = kept_body(limit) else {
            return Action::Pause;
        };
        self.decide(|request, env| self.plugin.gate.begin(&request.body(&body), env))
    }

    /// Continues a request whose call to the provider was answered.
    pub(crate) fn resume(self, waiting: Waiting, reply: &ProviderReply<'_>) {
        self.decide(|request, env| waiting.resume(&self.plugin.gate, request, reply, env));
    }

    /// Decides a request that has waited too long.
    pub(crate) fn give_up(self) {
        self.decide(|request, env| self.plugin.gate.begin_without(request, env));
    }

    /// Reads the request, decides, and performs the steps that follow.
    fn decide(self, decide: impl FnOnce(&Request<'_>, &mut Env<'_>) -> Step) -> Action {
        let Ok(headers) = hostcalls::get_map_bytes(MapType::HttpRequestHeaders) else {
            return Action::Pause;
        };
        let request = Request::new(&headers)
            .from(source(&self.plugin.gate, &headers))
            .held_since(self.held_since);
        let step = with_env(|env| decide(&request, env));
        self.perform(step, &request)
    }
}

impl Performer<'_> {
    /// Performs a step, and those that follow from it, until the request is forwarded, answered or paused.
    fn perform(self, mut step: Step, request: &Request<'_>) -> Action {
        if self.plugin.gate.has_refreshes() {
            self.plugin.tick_within(REFRESH_TICK);
        }
        // The loop ends: a call that cannot be sent is answered at once and each answer moves the sign-in on, and a request
        // that cannot be held is decided at once.
        loop {
            step = match step {
                Step::Forward(forward) => return self.forward(forward, request),
                Step::Reply(answer) => return self.reply(&answer, request),
                Step::Hold { until } if self.hold(until) => return Action::Pause,
                Step::Hold { .. } => with_env(|env| self.plugin.gate.begin_without(request, env)),
                Step::ReadBody { limit } => match self.decide_with_body(limit, request) {
                    Some(step) => step,
                    None => return Action::Pause,
                },
                Step::Call(call, waiting) => match self.call(&call, waiting, request) {
                    Some(step) => step,
                    None => return Action::Pause,
                },
            };
        }
    }

    /// Decides with the body of the request. Returns `None` when the body has not come yet or cannot be read.
    fn decide_with_body(self, limit: usize, request: &Request<'_>) -> Option<Step> {
        // The proxy does not deliver again what it has delivered.
        let body = match self.stream.body.get() {
            BodyState::Expected => {
                *self.stream.state.borrow_mut() = StreamState::AwaitsBody(limit);
                return None;
            }
            BodyState::Absent => Vec::new(),
            BodyState::Complete => kept_body(limit).ok()?,
        };
        let request = request.body(&body);
        Some(with_env(|env| self.plugin.gate.begin(&request, env)))
    }

    /// Sends a call to the provider. Returns the next step when the call could not be sent.
    fn call(self, call: &ProviderCall, waiting: Waiting, request: &Request<'_>) -> Option<Step> {
        match send(call) {
            Ok(token) => {
                let pending = Pending::Request(self.stream.clone(), waiting);
                self.plugin.calls.borrow_mut().insert(token, pending);
                None
            }
            Err(status) => {
                log::warn!("cannot send {call:?}: {status:?}");
                let nothing = &ProviderReply::NONE;
                let gate = &self.plugin.gate;
                Some(with_env(|env| waiting.resume(gate, request, nothing, env)))
            }
        }
    }

    fn forward(self, mut forward: Forward, request: &Request<'_>) -> Action {
        let summary = RequestSummary::of(request);
        for change in forward.edits() {
            if edit(MapType::HttpRequestHeaders, change).is_err() {
                // Without the edit the upstream would see what it must not, so the request stays paused.
                return Action::Pause;
            }
        }
        if let Some(warning) = forward.warning() {
            log::warn!("{}", describe_event(warning, None, &summary));
        }
        if let Some(open) = forward.take_open_stream() {
            if let Some(account) = open.account() {
                state_for_log(ACCOUNT_PROPERTY, &escape(account));
            }
            let stream = self.stream.clone();
            let mut streams = self.plugin.watched.borrow_mut();
            streams.insert(self.stream.id, WatchedStream { open, stream });
        }
        *self.stream.state.borrow_mut() =
            StreamState::Forwarded(forward.forwarded().clone(), summary);
        if self.phase == Phase::Paused && hostcalls::resume_http_request().is_err() {
            return Action::Pause;
        }
        Action::Continue
    }

    fn reply(self, reply: &Reply, request: &Request<'_>) -> Action {
        *self.stream.state.borrow_mut() = StreamState::Undecided;
        state_decision(reply);
        answer(self.plugin, reply, || RequestSummary::of(request))
    }

    /// Keeps the request paused until `until`. Returns `false` when too many requests are paused already.
    fn hold(self, until: Timestamp) -> bool {
        let mut held = self.plugin.held.borrow_mut();
        if held.len() >= MAX_HELD {
            return false;
        }
        held.push(PausedRequest {
            stream: self.stream.clone(),
            since: self.held_since.unwrap_or_else(now),
            until,
        });
        self.plugin.tick_within(BUSY_TICK);
        true
    }
}

/// Returns what the proxy has buffered of the request's body, but at most one byte more than `limit`.
fn kept_body(limit: usize) -> Result<Vec<u8>, Status> {
    let body = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, limit + 1)?;
    Ok(body.unwrap_or_default())
}

/// Returns the client's address as the proxy trusts it, if a request with these headers needs it.
fn source(gate: &Gate, headers: &[(String, Vec<u8>)]) -> Option<IpAddr> {
    if !gate.asks_for_address(headers) {
        return None;
    }
    source_address()
}

/// Returns the client's address as the proxy trusts it.
fn source_address() -> Option<IpAddr> {
    let address = hostcalls::get_property(vec!["source", "address"]).ok()??;
    read_address(&address)
}

/// Edits one header.
pub(crate) fn edit(map: MapType, change: &Edit<'_>) -> Result<(), Status> {
    match change {
        Edit::Remove(name) => hostcalls::remove_map_value(map, name),
        Edit::Set(name, value) => hostcalls::set_map_value_bytes(map, name, Some(value)),
        Edit::Add(name, value) => hostcalls::add_map_value_bytes(map, name, value),
    }
}

/// Answers the effective request, instead of an upstream or of its response. `summarise` describes the request for the log.
pub(crate) fn answer(
    plugin: &Plugin,
    reply: &Reply,
    summarise: impl FnOnce() -> RequestSummary,
) -> Action {
    if is_logged(plugin, reply) {
        // The operator finds the id that a page shows.
        let line = DecisionLine {
            event: &reply.event,
            status: Some(reply.status),
            account: reply.account.as_deref(),
            request: &summarise(),
            client: source_address(),
        };
        log::info!("{line}");
    }
    let headers: Vec<(&str, &str)> = reply
        .headers
        .iter()
        .map(|(name, value)| (&**name, value.as_str()))
        .collect();
    let body = Some(reply.body.as_bytes()).filter(|body| !body.is_empty());
    if hostcalls::send_http_response(u32::from(reply.status), headers, body).is_err() {
        log::warn!("cannot send the response");
    }
    Action::Pause
}

/// Describes an event of the effective request that is not a reply, for the log.
pub(crate) fn describe_event(
    event: &str,
    account: Option<&str>,
    request: &RequestSummary,
) -> String {
    let client = source_address();
    let line = DecisionLine {
        event,
        status: None,
        account,
        request,
        client,
    };
    line.to_string()
}

/// States the decision behind a reply for the access log of the proxy, which has a line for each request.
fn state_decision(reply: &Reply) {
    state_for_log(DECISION_PROPERTY, reply.decision.word());
    if !reply.reasons.is_empty() {
        state_for_log(REASONS_PROPERTY, &escape(&reply.reasons));
    }
    if let Some(account) = &reply.account {
        state_for_log(ACCOUNT_PROPERTY, &escape(account));
    }
}

fn state_for_log(property: &str, value: &str) {
    if hostcalls::set_property(vec![property], Some(value.as_bytes())).is_err() {
        log::warn!("cannot state `{property}` for the access log");
    }
}

/// Returns whether a reply gets a log line of its own, and counts the replies that the log sums up.
fn is_logged(plugin: &Plugin, reply: &Reply) -> bool {
    if !reply.is_summed_up() {
        return true;
    }
    // Clients whose address is unknown count as one client.
    let client = source_address().unwrap_or_else(|| Ipv4Addr::UNSPECIFIED.into());
    let mut repeats = plugin.repeats.borrow_mut();
    repeats.note(client, reply.status, now())
}

/// Logs how many replies got no log line of their own, for the windows that are over.
pub(crate) fn sum_up(plugin: &Plugin) {
    log_summaries(&plugin.repeats.borrow_mut().end_windows(now()));
}

/// Logs how many replies got no log line of their own, for all windows.
pub(crate) fn sum_up_all(plugin: &Plugin) {
    log_summaries(&plugin.repeats.borrow_mut().finish(now()));
}

fn log_summaries(summaries: &[Summary]) {
    for summary in summaries {
        log::info!("{summary}");
    }
}

/// Sends a call to the provider and returns its token.
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

/// Reads the provider's reply in the callback of its call, and passes it to `take`. `headers` is the number of its headers.
pub(crate) fn with_reply<T>(headers: usize, take: impl FnOnce(&ProviderReply<'_>) -> T) -> T {
    if headers == 0 {
        // The call failed. Envoy refuses to read a reply that does not exist, at which the SDK would abort the module.
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
