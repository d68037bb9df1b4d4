//! Turns the outcome of an exchange into the response to the client.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body as _;
use jetway_core::http::upstream_failure::UpstreamFailure;

use super::finish::Finish;
use super::upstream_exchange::{UpgradeResponse, UpstreamResponse};
use super::{Exchange, ResponseBody, tunnel};
use crate::error_response::ErrorResponse;
use crate::fault::Fault;
use crate::upstream::Lease;
use crate::wasm::{LocalReply, ResponseHead, Verdict};

impl Exchange {
    /// Passes on the upstream's response.
    pub(super) fn respond(self, response: UpstreamResponse) -> Response<ResponseBody> {
        let UpstreamResponse {
            mut head,
            body,
            lease,
            progress,
        } = response;
        self.close_refused_upgrade(&mut head.headers);
        if !body.is_end_stream() {
            self.client.watch_response(&progress);
        }
        let finish = self.finish(head.status, Some(lease));
        let body = ResponseBody::streamed(body, progress, finish);
        build_response(head.status, head.headers, body)
    }

    /// Passes on the response that opens a WebSocket, and starts its tunnel.
    pub(super) fn open_tunnel(mut self, response: UpgradeResponse) -> Response<ResponseBody> {
        let UpgradeResponse {
            head,
            ends,
            lease,
            progress,
        } = response;
        self.client.become_tunnel();
        self.entry.begin_websocket();
        let shutdown = self.proxy.shutdown.clone();
        let finish = self.finish(head.status, Some(lease));
        tokio::task::spawn_local(tunnel::run(ends, finish, progress, shutdown));
        build_response(head.status, head.headers, ResponseBody::none())
    }

    /// Sends the reply of the plugin.
    pub(super) fn respond_with_reply(mut self, reply: LocalReply) -> Response<ResponseBody> {
        self.respond_locally();
        let LocalReply {
            status,
            mut headers,
            body,
            details,
        } = reply;
        // Hyper writes the length of the body that is really sent.
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::TRANSFER_ENCODING);
        self.entry.add_details(details);
        self.respond_whole(status, headers, body)
    }

    /// Sends the response of the proxy to a fault.
    pub(super) async fn respond_with_fault(mut self, fault: Fault) -> Response<ResponseBody> {
        self.respond_locally();
        if fault.status().is_server_error() {
            self.entry.mark_failed();
        }
        self.entry.add_details(fault.message());
        // A request that was not decided about was not permitted.
        let failure = fault.upstream_failure();
        if failure.is_some_and(|failure| !matches!(failure, UpstreamFailure::Undecided)) {
            self.entry.warn_of_failure();
        }
        let id = self.entry.request_id();
        let response = ErrorResponse::build(fault, &self.error_format, id, &self.proxy.theme);
        let headers = match fault.upstream_failure() {
            Some(_) => self.dress(fault.status(), response.headers).await,
            None => response.headers,
        };
        self.respond_whole(fault.status(), headers, response.body)
    }

    /// Lets the plugin add the route's header fields to the response for a failed upstream, as in Envoy.
    async fn dress(&mut self, status: StatusCode, headers: HeaderMap) -> HeaderMap {
        let own = headers.clone();
        let Some(stream) = self.stream.as_mut().filter(|_| self.entry.has_route()) else {
            return own;
        };
        let verdict = match stream.response(ResponseHead { status, headers }, false) {
            Verdict::Paused => stream.response_resumed().await,
            verdict => verdict,
        };
        match verdict {
            Verdict::Continue(head) => head.headers,
            _ => own,
        }
    }

    /// Builds a response with a body that is complete. Over HTTP/2 the library would send it for a HEAD as well.
    fn respond_whole(
        self,
        status: StatusCode,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Response<ResponseBody> {
        self.close_refused_upgrade(&mut headers);
        let mut body = body;
        if self.is_head && !body.is_empty() {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            body = Bytes::new();
        }
        let body = ResponseBody::whole(body, self.finish(status, None));
        build_response(status, headers, body)
    }

    /// Closes the connection of a client whose upgrade is refused: its next bytes may be of the other protocol, and must not
    /// be taken for a request (CVE-2026-73548).
    fn close_refused_upgrade(&self, headers: &mut HeaderMap) {
        if self.is_upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Discards the body of the request, because the response does not come from the upstream.
    fn respond_locally(&mut self) {
        self.body.discard();
        self.active.respond_locally();
    }

    fn finish(mut self, status: StatusCode, lease: Option<Lease>) -> Finish {
        self.entry.set_status(status);
        Finish {
            entry: self.entry,
            lease,
            stream: self.stream,
            _active: self.active,
        }
    }
}

fn build_response(
    status: StatusCode,
    headers: HeaderMap,
    body: ResponseBody,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
