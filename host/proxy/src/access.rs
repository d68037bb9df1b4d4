//! The access log: one line per request, written when its answer has been sent or given up.
//!
//! No cookie, header, query or body is ever in it. Of requests that were not let through, the first of each client and status
//! have a line of their own and the rest is summed up; a request that was permitted always has one, and so has a failure of
//! the proxy or of what is behind it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderValue, Method, StatusCode, Uri, Version};
use jetway_core::refusal::repeats::{Repeats, Summary};
use jetway_core::time::Timestamp;

use crate::body::Progress;
use crate::fault;
use crate::upstream::{Destination, Upstream};

/// Target of the log lines, for filters such as `access=off`.
const TARGET: &str = "access";
/// Longest text of a visitor's that is logged.
const MAX_TEXT: usize = 512;

thread_local! {
    /// What this worker sums up.
    static REPEATS: RefCell<Repeats> = RefCell::default();
}

/// Logs how many requests had no line of their own, of the windows that are over.
pub(crate) fn sum_up() {
    tell(&REPEATS.with_borrow_mut(|repeats| repeats.end_windows(now())));
}

/// Logs how many requests had no line of their own up to now.
pub(crate) fn sum_up_all() {
    tell(&REPEATS.with_borrow_mut(|repeats| repeats.finish(now())));
}

fn tell(summaries: &[Summary]) {
    for summary in summaries {
        tracing::info!(target: TARGET, "{summary}");
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| since.as_secs()))
}

/// Counts a refusal, and returns whether it has a line of its own. Status 0 is none.
fn is_whole_refusal(client: IpAddr, status: u16) -> bool {
    let note = |repeats: &RefCell<Repeats>| repeats.borrow_mut().note(client, status, now());
    // A worker that ends may have none any more.
    REPEATS.try_with(note).unwrap_or(true)
}

/// What is known of a request so far. Dropping it writes the line.
#[derive(Debug)]
pub(crate) struct Entry {
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
    details: Cow<'static, str>,
    has_failed: bool,
}

impl Entry {
    /// Begins the line of a client's request.
    pub(crate) fn begin(
        request: &http::request::Parts,
        client: IpAddr,
        request_id: HeaderValue,
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
            details: Cow::Borrowed(""),
            has_failed: false,
        }
    }

    /// Who sent the request, as far as that is certain.
    pub(crate) fn client(&self) -> IpAddr {
        self.client
    }

    /// The request's id, as upstream and error pages get it.
    pub(crate) fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    /// The request's id, when one from a trusted proxy replaces ours.
    pub(crate) fn set_request_id(&mut self, id: HeaderValue) {
        self.request_id = id;
    }

    /// Where the request goes.
    pub(crate) fn route(&mut self, route: Rc<Destination>) {
        self.route = Some(route);
    }

    /// Which of the route's upstreams gets it.
    pub(crate) fn upstream(&mut self, upstream: &Upstream) {
        self.upstream = Some(upstream.authority().clone());
    }

    /// Where to read how much the client sent.
    pub(crate) fn progress(&mut self, progress: Rc<Progress>) {
        self.progress = Some(progress);
    }

    /// What the client is answered.
    pub(crate) fn status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// What the upstream answered.
    pub(crate) fn upstream_status(&mut self, status: StatusCode) {
        self.upstream_status = Some(status);
    }

    /// Counts bytes on the way to the client.
    pub(crate) fn count_sent(&mut self, bytes: u64) {
        self.sent_bytes = self.sent_bytes.saturating_add(bytes);
    }

    /// Counts bytes of a tunnel from the client.
    pub(crate) fn count_received(&mut self, bytes: u64) {
        self.received_bytes = self.received_bytes.saturating_add(bytes);
    }

    /// Why it ended as it did, in a few words. The first reason stays.
    pub(crate) fn details(&mut self, details: impl Into<Cow<'static, str>>) {
        if self.details.is_empty() {
            self.details = details.into();
        }
    }

    /// The proxy failed, or what is behind it: the line is there in any case.
    pub(crate) fn fail(&mut self) {
        self.has_failed = true;
    }

    /// Panics if a test has asked for that, by the request's path.
    pub(crate) fn fault_point(&self, place: &str) {
        fault::point(place, self.uri.path());
    }

    /// Whether it has a line of its own.
    fn is_whole(&self) -> bool {
        let status = self.status.map_or(0, |status| status.as_u16());
        let was_let_through = self.route.is_some();
        // The redirect to a sign-in is a 303; other redirects and successes are a route's own answers.
        let is_refusal = matches!(status, 0 | 303 | 400..);
        if was_let_through || self.has_failed || !is_refusal {
            return true;
        }
        is_whole_refusal(self.client, status)
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

    fn ending(&self) -> &str {
        if self.status.is_none() && self.details.is_empty() {
            "the client went away"
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
            host = %shown(self.host()),
            path = %shown(self.uri.path().as_bytes()),
            protocol = ?self.version,
            status = self.status.map_or(0, |status| status.as_u16()),
            route = self.route.as_ref().map_or("", |route| route.name()),
            route_id = self.route.as_ref().map_or("", |route| route.id()),
            upstream = %shown(self.upstream.as_ref().map_or(b"", HeaderValue::as_bytes)),
            client = %self.client,
            request_id = %shown(self.request_id.as_bytes()),
            duration_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            bytes_received = received,
            bytes_sent = self.sent_bytes,
            upstream_status = self.upstream_status.map_or(0, |status| status.as_u16()),
            details = %shown(self.ending().as_bytes()),
        );
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail();
            self.details = Cow::Borrowed("a defect of the proxy (panic) ended it");
        }
        if tracing::enabled!(target: TARGET, tracing::Level::INFO) && self.is_whole() {
            self.write();
        }
    }
}

/// Writes the line of a request that the HTTP library could not read, and answered by itself. The status is the one that the
/// library has answered with, as far as it tells: an address that is too long (414) counts as too large here.
pub(crate) fn unreadable(client: IpAddr, request_id: &HeaderValue, error: &hyper::Error) {
    let status = if error.is_parse_too_large() && !error.is_parse_version_h2() {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    } else {
        StatusCode::BAD_REQUEST
    };
    if !is_whole_refusal(client, status.as_u16()) {
        return;
    }
    tracing::info!(
        target: TARGET,
        status = status.as_u16(),
        client = %client,
        request_id = %shown(request_id.as_bytes()),
        details = %shown(format!("the request cannot be read: {error}").as_bytes()),
    );
}

/// Logs that a connection was refused before its first request. The first refusals of a peer have lines of their own, and the
/// rest is summed up.
pub(crate) fn refused_connection(peer: SocketAddr, reason: impl fmt::Display) {
    if is_whole_refusal(peer.ip(), 0) {
        tracing::warn!(%peer, "a connection was refused: {reason}");
    }
}

/// A visitor's bytes as text that can neither forge a line nor fill the disk.
fn shown(bytes: &[u8]) -> Cow<'_, str> {
    let clear = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if bytes.len() <= MAX_TEXT && bytes.iter().all(clear) {
        return String::from_utf8_lossy(bytes);
    }
    let kept = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    let mut text: String = kept.escape_ascii().to_string();
    if kept.len() < bytes.len() {
        text.push_str("...");
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// Where the lines of a test go.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that are logged meanwhile.
    fn logged(work: impl FnOnce()) -> Vec<serde_json::Value> {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        let lines = lines.0.lock().unwrap();
        let lines = lines.split_inclusive(|byte| *byte == b'\n');
        lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    fn entry(client: &str) -> Entry {
        let request = http::Request::get("/asked?secret=1")
            .header("host", "app.test")
            .body(())
            .unwrap();
        let id = HeaderValue::from_static("id-1");
        Entry::begin(&request.into_parts().0, client.parse().unwrap(), id)
    }

    #[test]
    fn a_line_tells_what_the_client_asked_for_and_no_query() {
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

    /// N-14: what was not let through is summed up, and nothing else is.
    #[test]
    fn n_14_refused_requests_of_one_client_are_summed_up() {
        const ASKED: usize = 50;
        let answered = |status: StatusCode, prepare: &dyn Fn(&mut Entry)| {
            logged(|| {
                for _ in 0..ASKED {
                    let mut entry = entry("203.0.113.9");
                    entry.status(status);
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
        let failed = answered(StatusCode::SERVICE_UNAVAILABLE, &Entry::fail);
        assert_eq!(failed.len(), ASKED, "a failure of ours is always told");
        assert_eq!(answered(StatusCode::OK, &|_| {}).len(), ASKED);
    }

    /// The parser's own refusals and those of connections are as cheap to ask for.
    #[test]
    fn refused_connections_and_unreadable_requests_are_summed_up() {
        const ASKED: u64 = 50;
        let whole = jetway_core::refusal::repeats::WHOLE;
        let peer: SocketAddr = "203.0.113.9:1".parse().unwrap();
        let refused = logged(|| {
            for _ in 0..ASKED {
                refused_connection(peer, "no header");
            }
            sum_up_all();
        });
        assert_eq!(refused.len() as u64, whole + 1);
        let error = parse_error();
        let id = HeaderValue::from_static("id-1");
        let unread = logged(|| {
            for _ in 0..ASKED {
                unreadable(peer.ip(), &id, &error);
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

    /// What the HTTP library says to something that is no request.
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
        assert_eq!(shown(b"/a b"), "/a b");
        assert_eq!(shown(b"a\nb\xff"), "a\\nb\\xff");
        let long = shown(&[b'a'; 600]).into_owned();
        assert_eq!(long.len(), MAX_TEXT + 3);
    }
}
