//! The access log: one line per request, written when its answer has been sent or given up.
//!
//! No cookie, header, query or body is ever in it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use http::{HeaderValue, Method, StatusCode, Uri, Version};

use crate::body::Progress;
use crate::upstream::{Destination, Upstream};

/// Target of the log lines, for filters such as `access=off`.
const TARGET: &str = "access";
/// Longest text of a visitor's that is logged.
const MAX_TEXT: usize = 512;

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
        }
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
        if tracing::enabled!(target: TARGET, tracing::Level::INFO) {
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
    tracing::info!(
        target: TARGET,
        status = status.as_u16(),
        client = %client,
        request_id = %shown(request_id.as_bytes()),
        details = %shown(format!("the request cannot be read: {error}").as_bytes()),
    );
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

    #[test]
    fn a_line_tells_what_the_client_asked_for_and_no_query() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let request = http::Request::get("/asked?secret=1")
                .header("host", "app.test")
                .body(())
                .unwrap();
            let client = "203.0.113.9".parse().unwrap();
            let id = HeaderValue::from_static("id-1");
            drop(Entry::begin(&request.into_parts().0, client, id));
        });
        let line = lines.0.lock().unwrap().clone();
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let fields = &line["fields"];
        assert_eq!(fields["path"], "/asked");
        assert_eq!(fields["host"], "app.test");
        assert_eq!(fields["client"], "203.0.113.9");
        assert!(!line.to_string().contains("secret"), "{line}");
    }

    #[test]
    fn text_is_escaped_and_cut() {
        assert_eq!(shown(b"/a b"), "/a b");
        assert_eq!(shown(b"a\nb\xff"), "a\\nb\\xff");
        let long = shown(&[b'a'; 600]).into_owned();
        assert_eq!(long.len(), MAX_TEXT + 3);
    }
}
