//! The access log: one line per request, written when its response has been sent or aborted.
//!
//! A line never contains a cookie, header, query or body. Refused requests are summed up: the first ones of each client and
//! status have a line of their own. A permitted request always has one, and so has a failure of the proxy or of something
//! behind it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderValue, Method, StatusCode, Uri, Version};
use jetway_core::contract::{ACCOUNT_PROPERTY, DECISION_PROPERTY, REASONS_PROPERTY};
use jetway_core::explain::ExplainedDecision;
use jetway_core::refusal::repeats::{Repeats, Summary};
use jetway_core::time::Timestamp;

use crate::body::Progress;
use crate::metrics::{WebsocketEnd, WorkerMetrics};
use crate::panic_point;
use crate::upstream::{Destination, Upstream};
use crate::wasm::{RequestHead, Stream, Verdict};

/// Target of the log lines, for filters such as `access=off`.
const TARGET: &str = "access";
/// Target of the warnings about applications that do not respond. A proxy whose access lines are off has them all the same.
const UPSTREAM_TARGET: &str = "upstream";
/// The longest string from a client that is logged.
const MAX_LENGTH: usize = 512;

thread_local! {
    /// The refusals that this worker sums up.
    static REPEATS: RefCell<Repeats> = RefCell::default();
}

/// Logs how many requests had no line of their own in the windows that are over.
pub(crate) fn sum_up() {
    log_summaries(&REPEATS.with_borrow_mut(|repeats| repeats.end_windows(current_time())));
}

/// Logs how many requests had no line of their own until now.
pub(crate) fn sum_up_all() {
    log_summaries(&REPEATS.with_borrow_mut(|repeats| repeats.finish(current_time())));
}

fn log_summaries(summaries: &[Summary]) {
    for summary in summaries {
        tracing::info!(target: TARGET, "{summary}");
    }
}

fn current_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| since.as_secs()))
}

/// Counts a refusal, and returns whether it gets a line of its own. Status 0 means that there is no status.
fn count_refusal(client: IpAddr, status: u16) -> bool {
    let note =
        |repeats: &RefCell<Repeats>| repeats.borrow_mut().note(client, status, current_time());
    // The thread-local value of a worker that ends may be gone.
    REPEATS.try_with(note).unwrap_or(true)
}

/// The known facts about a request. Dropping the entry writes the log line.
#[derive(Debug)]
pub(crate) struct AccessEntry {
    started: Instant,
    method: Method,
    uri: Uri,
    version: Version,
    client: IpAddr,
    host: Option<HeaderValue>,
    request_id: HeaderValue,
    route: Option<Rc<Destination>>,
    upstream: Option<HeaderValue>,
    status: Option<StatusCode>,
    upstream_status: Option<StatusCode>,
    progress: Option<Rc<Progress>>,
    received_bytes: u64,
    sent_bytes: u64,
    decision: LoggedDecision,
    /// Whether the request became a WebSocket.
    is_websocket: bool,
    /// Whether the WebSocket is open.
    has_open_websocket: bool,
    metrics: Arc<WorkerMetrics>,
    details: Cow<'static, str>,
    has_failed: bool,
}

/// The plugin's decision, as far as the plugin states it. Each value is escaped and bounded.
#[derive(Debug, Default)]
struct LoggedDecision {
    word: Cow<'static, str>,
    reasons: String,
    account: String,
}

impl AccessEntry {
    /// Begins the line of a client's request.
    pub(crate) fn begin(
        request: &http::request::Parts,
        client: IpAddr,
        request_id: HeaderValue,
        metrics: Arc<WorkerMetrics>,
    ) -> Self {
        Self {
            started: Instant::now(),
            method: request.method.clone(),
            uri: request.uri.clone(),
            version: request.version,
            client,
            host: request.headers.get(http::header::HOST).cloned(),
            request_id,
            route: None,
            upstream: None,
            status: None,
            upstream_status: None,
            progress: None,
            received_bytes: 0,
            sent_bytes: 0,
            decision: LoggedDecision::default(),
            is_websocket: false,
            has_open_websocket: false,
            metrics,
            details: Cow::Borrowed(""),
            has_failed: false,
        }
    }

    /// Records the plugin's decision: the stream has its account, and the word and the reasons of a reply.
    pub(crate) fn set_decision(&mut self, verdict: &Verdict<RequestHead>, stream: &Stream) {
        let read = |name| {
            let value = stream.attached_property(name).unwrap_or_default();
            String::from_utf8_lossy(&value).into_owned()
        };
        self.decision = match verdict {
            Verdict::Continue(_) if !is_enabled() => {
                self.metrics.allowed.increment();
                return;
            }
            Verdict::Continue(_) => LoggedDecision {
                word: Cow::Borrowed(ExplainedDecision::Allow.word()),
                reasons: String::new(),
                account: read(ACCOUNT_PROPERTY),
            },
            Verdict::Reply(_) => LoggedDecision {
                word: Cow::Owned(read(DECISION_PROPERTY)),
                reasons: read(REASONS_PROPERTY),
                account: read(ACCOUNT_PROPERTY),
            },
            Verdict::Paused | Verdict::Closed | Verdict::Failed => return,
        };
        let LoggedDecision { word, reasons, .. } = &self.decision;
        match verdict {
            Verdict::Continue(_) => self.metrics.allowed.increment(),
            _ => self.metrics.answered.count(word, reasons),
        }
    }

    /// Returns the address of the client, as far as it is certain.
    pub(crate) fn client(&self) -> IpAddr {
        self.client
    }

    /// Returns the request's id, which the upstream and error pages show.
    pub(crate) fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    /// Replaces the request's id by that of a trusted proxy.
    pub(crate) fn set_request_id(&mut self, id: HeaderValue) {
        self.request_id = id;
    }

    /// Records the route that the request takes.
    pub(crate) fn set_route(&mut self, route: Rc<Destination>) {
        self.route = Some(route);
    }

    /// Returns whether the plugin has permitted the request.
    pub(crate) const fn has_route(&self) -> bool {
        self.route.is_some()
    }

    /// Records which of the route's upstreams gets the request.
    pub(crate) fn set_upstream(&mut self, upstream: &Upstream) {
        self.upstream = Some(upstream.authority().clone());
    }

    /// Records where to read how much the client sent.
    pub(crate) fn set_progress(&mut self, progress: Rc<Progress>) {
        self.progress = Some(progress);
    }

    /// Records the status that the client gets.
    pub(crate) fn set_status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Records the status of the upstream's response.
    pub(crate) fn set_upstream_status(&mut self, status: StatusCode) {
        self.upstream_status = Some(status);
    }

    /// Counts bytes to the client.
    pub(crate) fn count_sent(&mut self, bytes: u64) {
        self.sent_bytes = self.sent_bytes.saturating_add(bytes);
    }

    /// Counts bytes from the client that [`Progress`] does not count.
    pub(crate) fn count_received(&mut self, bytes: u64) {
        self.received_bytes = self.received_bytes.saturating_add(bytes);
    }

    /// Records why the request ended, in a few words. The first reason is kept.
    pub(crate) fn add_details(&mut self, details: impl Into<Cow<'static, str>>) {
        if self.details.is_empty() {
            self.details = details.into();
        }
    }

    /// Counts a WebSocket that was opened.
    pub(crate) fn begin_websocket(&mut self) {
        self.is_websocket = true;
        self.has_open_websocket = true;
        self.metrics.opened_websockets.increment();
    }

    /// Records how a WebSocket ended. Without this call it broke.
    pub(crate) fn end_websocket(&mut self, end: WebsocketEnd) {
        self.add_details(end.details());
        if std::mem::take(&mut self.has_open_websocket) {
            self.metrics.count_websocket_end(end);
        }
    }

    /// Counts the request, which has ended.
    fn count(&mut self) {
        if std::mem::take(&mut self.has_open_websocket) {
            self.metrics.count_websocket_end(WebsocketEnd::Broken);
        }
        let duration = (!self.is_websocket).then(|| self.started.elapsed());
        if let Some(duration) = duration {
            self.metrics.total.observe(duration);
        }
        match &self.route {
            Some(route) => route.metrics.count(self.status, duration),
            None => self.metrics.unrouted.count(self.status),
        }
    }

    /// Records that the proxy or something behind it failed, so that the request gets a line of its own in any case.
    pub(crate) fn mark_failed(&mut self) {
        self.has_failed = true;
    }

    /// Panics if a test has armed this place for the request's path.
    pub(crate) fn pass_panic_point(&self, place: &str) {
        panic_point::pass(place, self.uri.path());
    }

    /// Returns whether the request gets a line of its own.
    fn has_own_line(&self) -> bool {
        let status = self.status.map_or(0, |status| status.as_u16());
        let was_permitted = self.route.is_some();
        // A redirect to sign in is a 303; other redirects and successes are the responses of a route itself.
        let is_refusal = matches!(status, 0 | 303 | 400..);
        if was_permitted || self.has_failed || !is_refusal {
            return true;
        }
        count_refusal(self.client, status)
    }

    fn host(&self) -> &[u8] {
        let authority = self
            .uri
            .authority()
            .map(|authority| authority.as_str().as_bytes());
        self.host
            .as_ref()
            .map(HeaderValue::as_bytes)
            .or(authority)
            .unwrap_or_default()
    }

    /// Warns that the application, or the module, has not responded. The line of the request follows when it ends.
    pub(crate) fn warn_of_failure(&self) {
        tracing::warn!(
            target: UPSTREAM_TARGET,
            host = %escape_for_log(self.host()),
            route = self.route.as_ref().map_or("", |route| route.name()),
            upstream = %escape_for_log(self.upstream.as_ref().map_or(b"", HeaderValue::as_bytes)),
            request_id = %escape_for_log(self.request_id.as_bytes()),
            details = %escape_for_log(self.describe_end().as_bytes()),
            "no usable response for a permitted request",
        );
    }

    fn describe_end(&self) -> &str {
        if self.status.is_none() && self.details.is_empty() {
            "the client disconnected"
        } else {
            &self.details
        }
    }

    fn write(&self) {
        let received = self
            .progress
            .as_ref()
            .map_or(0, |progress| progress.received())
            .saturating_add(self.received_bytes);
        tracing::info!(
            target: TARGET,
            method = %self.method,
            host = %escape_for_log(self.host()),
            path = %escape_for_log(self.uri.path().as_bytes()),
            protocol = ?self.version,
            status = self.status.map_or(0, |status| status.as_u16()),
            route = self.route.as_ref().map_or("", |route| route.name()),
            route_id = self.route.as_ref().map_or("", |route| route.id()),
            upstream = %escape_for_log(self.upstream.as_ref().map_or(b"", HeaderValue::as_bytes)),
            client = %self.client,
            account = %self.decision.account,
            decision = %self.decision.word,
            reasons = %self.decision.reasons,
            request_id = %escape_for_log(self.request_id.as_bytes()),
            duration_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            bytes_received = received,
            bytes_sent = self.sent_bytes,
            upstream_status = self.upstream_status.map_or(0, |status| status.as_u16()),
            details = %escape_for_log(self.describe_end().as_bytes()),
        );
    }
}

impl Drop for AccessEntry {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.mark_failed();
            self.details = Cow::Borrowed("internal error (panic)");
        }
        self.count();
        if is_enabled() && self.has_own_line() {
            self.write();
        }
    }
}

/// Returns whether the lines of requests are written.
fn is_enabled() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::INFO)
}

/// Writes the line of a request that the HTTP library could not read and answered itself. The status is that of the
/// library, as far as it is known: a URI that is too long (414) counts as too large here.
pub(crate) fn log_unreadable_request(
    client: IpAddr,
    request_id: &HeaderValue,
    error: &hyper::Error,
) {
    let status = if error.is_parse_too_large() && !error.is_parse_version_h2() {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    } else {
        StatusCode::BAD_REQUEST
    };
    if !count_refusal(client, status.as_u16()) {
        return;
    }
    tracing::info!(
        target: TARGET,
        status = status.as_u16(),
        client = %client,
        request_id = %escape_for_log(request_id.as_bytes()),
        details = %escape_for_log(format!("cannot read the request: {error}").as_bytes()),
    );
}

/// Logs that a connection was refused before its first request. The first refusals of a peer have lines of their own, and
/// the rest is summed up.
pub(crate) fn log_refused_connection(peer: SocketAddr, reason: impl fmt::Display) {
    if count_refusal(peer.ip(), 0) {
        tracing::warn!(%peer, "connection refused: {reason}");
    }
}

/// Escapes and shortens bytes of a client, so that they can neither forge a log line nor fill the disk.
fn escape_for_log(bytes: &[u8]) -> Cow<'_, str> {
    let clear = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if bytes.len() <= MAX_LENGTH && bytes.iter().all(clear) {
        return String::from_utf8_lossy(bytes);
    }
    let kept = bytes.get(..MAX_LENGTH).unwrap_or(bytes);
    let mut text: String = kept.escape_ascii().to_string();
    if kept.len() < bytes.len() {
        text.push_str("...");
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::logged;

    fn entry(client: &str) -> AccessEntry {
        let request = http::Request::get("/asked?secret=1")
            .header("host", "app.test")
            .body(())
            .unwrap();
        let id = HeaderValue::from_static("id-1");
        AccessEntry::begin(
            &request.into_parts().0,
            client.parse().unwrap(),
            id,
            Arc::default(),
        )
    }

    #[test]
    fn a_line_has_the_path_and_no_query() {
        let lines = logged(|| drop(entry("203.0.113.9")));
        let [line] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        let fields = &line["fields"];
        assert_eq!(fields["path"], "/asked");
        assert_eq!(fields["host"], "app.test");
        assert_eq!(fields["client"], "203.0.113.9");
        assert!(!line.to_string().contains("secret"), "{line}");
    }

    #[test]
    fn a_line_has_the_decision() {
        let lines = logged(|| {
            let mut denied = entry("203.0.113.9");
            denied.decision = LoggedDecision {
                word: Cow::Borrowed("deny"),
                reasons: "domain-unauthorized".to_owned(),
                account: "mallory@evil.test".to_owned(),
            };
            drop(denied);
            drop(entry("203.0.113.9"));
        });
        let [denied, none] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        for (field, value) in [
            ("decision", "deny"),
            ("reasons", "domain-unauthorized"),
            ("account", "mallory@evil.test"),
        ] {
            assert_eq!(denied["fields"][field], value);
            assert_eq!(none["fields"][field], "");
        }
    }

    /// N-14: only refused requests are summed up.
    #[test]
    fn n_14_refused_requests_of_one_client_are_summed_up() {
        const ASKED: usize = 50;
        let answered = |status: StatusCode, prepare: &dyn Fn(&mut AccessEntry)| {
            logged(|| {
                for _ in 0..ASKED {
                    let mut entry = entry("203.0.113.9");
                    entry.set_status(status);
                    prepare(&mut entry);
                }
                sum_up_all();
            })
        };
        let refused = answered(StatusCode::NOT_FOUND, &|_| {});
        assert_eq!(
            refused.len() as u64,
            jetway_core::refusal::repeats::WHOLE + 1
        );
        let summary = refused.last().unwrap()["fields"]["message"].as_str();
        assert!(
            summary.is_some_and(|line| line.starts_with("40 further requests of 203.0.113.9 ")),
            "{summary:?}"
        );
        let failed = answered(StatusCode::SERVICE_UNAVAILABLE, &AccessEntry::mark_failed);
        assert_eq!(
            failed.len(),
            ASKED,
            "a failure of the proxy always has a line"
        );
        assert_eq!(answered(StatusCode::OK, &|_| {}).len(), ASKED);
    }

    /// A demo shows the warnings without the lines of all requests.
    #[test]
    fn an_application_that_does_not_respond_is_a_warning_of_its_own() {
        let lines = logged(|| {
            let mut entry = entry("203.0.113.9");
            entry.add_details("connection refused");
            entry.warn_of_failure();
        });
        let [warning, access] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        assert_eq!(
            (&warning["level"], &warning["target"]),
            (&"WARN".into(), &UPSTREAM_TARGET.into())
        );
        assert_eq!(access["target"], TARGET);
        for line in [warning, access] {
            assert_eq!(line["fields"]["request_id"], "id-1");
            assert_eq!(line["fields"]["details"], "connection refused");
        }
    }

    /// A client can cause refusals by the parser and of connections just as cheaply.
    #[test]
    fn refused_connections_and_unreadable_requests_are_summed_up() {
        const ASKED: u64 = 50;
        let whole = jetway_core::refusal::repeats::WHOLE;
        let peer: SocketAddr = "203.0.113.9:1".parse().unwrap();
        let refused = logged(|| {
            for _ in 0..ASKED {
                log_refused_connection(peer, "no header");
            }
            sum_up_all();
        });
        assert_eq!(refused.len() as u64, whole + 1);
        let error = parse_error();
        let id = HeaderValue::from_static("id-1");
        let unread = logged(|| {
            for _ in 0..ASKED {
                log_unreadable_request(peer.ip(), &id, &error);
            }
            sum_up_all();
        });
        assert_eq!(unread.len() as u64, whole + 1);
        let summary = unread.last().unwrap()["fields"]["message"].as_str();
        assert!(
            summary.is_some_and(|line| line.ends_with(": 40 with status 400")),
            "{summary:?}"
        );
    }

    /// Returns the error of the HTTP library for bytes that are not a request.
    fn parse_error() -> hyper::Error {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let service = hyper::service::service_fn(async |_| {
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        });
        let request = tokio::io::join(b"no request\r\n\r\n".as_slice(), tokio::io::sink());
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(hyper_util::rt::TokioIo::new(request), service);
        runtime.block_on(connection).unwrap_err()
    }

    #[test]
    fn a_panic_leaves_a_line_with_the_id_of_its_request() {
        let lines = logged(|| {
            let panicking = std::panic::catch_unwind(|| {
                let _entry = entry("203.0.113.9");
                panic!("on purpose");
            });
            assert!(panicking.is_err());
        });
        let [line] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        assert_eq!(line["fields"]["request_id"], "id-1");
        let details = line["fields"]["details"].as_str().unwrap();
        assert!(details.contains("panic"), "{details}");
    }

    #[test]
    fn text_is_escaped_and_cut() {
        assert_eq!(escape_for_log(b"/a b"), "/a b");
        assert_eq!(escape_for_log(b"a\nb\xff"), "a\\nb\\xff");
        let long = escape_for_log(&[b'a'; 600]).into_owned();
        assert_eq!(long.len(), MAX_LENGTH + 3);
    }
}
