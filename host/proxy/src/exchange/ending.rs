//! Turns the outcome of an exchange into the response to the client.

use http::header::{self, HeaderMap};
use http::{Response, StatusCode};
use http_body::Body as _;

use super::finish::Finish;
use super::upstream_exchange::{UpgradeResponse, UpstreamResponse};
use super::{Exchange, ResponseBody, tunnel};
use crate::error_response::ErrorResponse;
use crate::fault::Fault;
use crate::upstream::Lease;
use crate::wasm::LocalReply;

impl Exchange {
    /// Passes on the upstream's response.
    pub(super) fn respond(self, response: UpstreamResponse) -> Response<ResponseBody> {
        let UpstreamResponse {
            head,
            body,
            lease,
            progress,
        } = response;
        if !body.is_end_stream() {
            self.client.watch_response(&progress);
        }
        let finish = self.finish(head.status, Some(lease));
        let body = ResponseBody::streamed(body, progress, finish);
        build_response(head.status, head.headers, body)
    }

    /// Passes on the response that opens a WebSocket, and starts its tunnel.
    pub(super) fn open_tunnel(self, response: UpgradeResponse) -> Response<ResponseBody> {
        let UpgradeResponse {
            head,
            ends,
            lease,
            progress,
        } = response;
        self.client.become_tunnel();
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
        let body = ResponseBody::whole(body, self.finish(status, None));
        build_response(status, headers, body)
    }

    /// Sends the response of the proxy to a fault.
    pub(super) fn respond_with_fault(mut self, fault: Fault) -> Response<ResponseBody> {
        self.respond_locally();
        if fault.status().is_server_error() {
            self.entry.mark_failed();
        }
        self.entry.add_details(fault.message());
        let id = self.entry.request_id();
        let response = ErrorResponse::build(fault, &self.error_format, id, &self.proxy.theme);
        let finish = self.finish(fault.status(), None);
        let body = ResponseBody::whole(response.body, finish);
        build_response(fault.status(), response.headers, body)
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
