//! Sends a permitted request to the upstream, and shows the head of the response to the plugin.

use std::rc::Rc;
use std::time::Instant;

use http::response::Parts;
use http::{Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use jetway_core::contract::COCKPIT_SUBPROTOCOL;

use super::tunnel::TunnelEnds;
use super::websocket::{self, Handshake};
use super::{EarlyResponse, Exchange, hop_by_hop, permitted, response_framing, upstream_request};
use crate::body::{Overrun, Progress, RequestBody};
use crate::fault::Fault;
use crate::upstream::{ConnectFault, Destination, Lease, SendFault};
use crate::wasm::{Ended, RequestHead, ResponseHead, Verdict};

/// The upstream's response.
pub(super) enum Outcome {
    Response(UpstreamResponse),
    Upgrade(UpgradeResponse),
}

/// A response whose body is still to be read.
pub(super) struct UpstreamResponse {
    pub(super) head: ResponseHead,
    pub(super) body: Incoming,
    pub(super) lease: Lease,
    pub(super) progress: Rc<Progress>,
}

/// A response that opens a WebSocket.
pub(super) struct UpgradeResponse {
    pub(super) head: ResponseHead,
    pub(super) ends: TunnelEnds,
    pub(super) lease: Lease,
    pub(super) progress: Rc<Progress>,
}

impl Exchange {
    /// Forwards a request and its body.
    pub(super) async fn forward(
        &mut self,
        head: RequestHead,
        destination: &Destination,
    ) -> Result<Outcome, EarlyResponse> {
        let progress = Rc::new(Progress::new(destination.patience));
        self.entry.set_progress(Rc::clone(&progress));
        let body = self.body.forward(self.stream.as_mut(), &progress);
        let upstream = destination.choose().ok_or(Fault::NoRoute)?;
        self.entry.set_upstream(upstream);
        let request = upstream_request::build(head, body, destination, upstream)?;
        let sending = destination.send(upstream, request, self.entry.client());
        let (response, lease) = self.wait_for_response(sending, &progress).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // The request asked for no upgrade. The next bytes of the connection are not HTTP.
            return Err(Fault::BadUpgrade.into());
        }
        self.pass_response(response, lease, progress).await
    }

    /// Forwards a WebSocket handshake.
    pub(super) async fn upgrade(
        &mut self,
        mut head: RequestHead,
        destination: &Destination,
        handshake: &Handshake,
        client: OnUpgrade,
    ) -> Result<Outcome, EarlyResponse> {
        if !destination.allow_websockets {
            return Err(Fault::WebsocketForbidden.into());
        }
        Handshake::restore(&mut head.headers);
        let progress = Rc::new(Progress::new(destination.patience));
        progress.complete();
        let upstream = destination.choose().ok_or(Fault::NoRoute)?;
        self.entry.set_upstream(upstream);
        let request = upstream_request::build(head, RequestBody::empty(), destination, upstream)?;
        let sending = destination.send_apart(upstream, request, self.entry.client());
        let (response, lease) = self.wait_for_response(sending, &progress).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return self.pass_response(response, lease, progress).await;
        }
        let (head, upstream) = self.accept_upgrade(response, handshake).await?;
        let ends = TunnelEnds {
            client,
            upstream,
            is_cockpit: websocket::has_subprotocol(&head.headers, COCKPIT_SUBPROTOCOL),
        };
        Ok(Outcome::Upgrade(UpgradeResponse {
            head,
            ends,
            lease,
            progress,
        }))
    }

    /// Checks the response that opens a WebSocket, and shows it to the plugin.
    async fn accept_upgrade(
        &mut self,
        mut response: Response<Incoming>,
        handshake: &Handshake,
    ) -> Result<(ResponseHead, OnUpgrade), EarlyResponse> {
        if !handshake.is_accepted_by(response.headers()) {
            return Err(Fault::BadUpgrade.into());
        }
        let upstream = hyper::upgrade::on(&mut response);
        let (parts, _) = response.into_parts();
        let mut head = self.show_response_head(parts, false).await?;
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Fault::BadUpgrade.into());
        }
        Handshake::restore(&mut head.headers);
        Ok((head, upstream))
    }

    /// Waits for the head of the upstream's response, for as long as the route and the plugin allow.
    async fn wait_for_response(
        &mut self,
        sending: impl Future<Output = Result<(Response<Incoming>, Lease), SendFault>>,
        progress: &Progress,
    ) -> Result<(Response<Incoming>, Lease), EarlyResponse> {
        let started = Instant::now();
        let stream = self.stream.as_ref();
        let closed = async {
            match stream {
                Some(stream) => stream.closed().await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            result = sending => result,
            overrun = progress.wait_for_overrun() => {
                return Err(overrun_fault(overrun, progress).into());
            }
            ended = closed => return Err(match ended {
                Ended::Closed => EarlyResponse::Closed,
                Ended::Lost => Fault::Undecided.into(),
            }),
        };
        progress.begin_response();
        let (response, lease) = result.map_err(|cause| {
            let fault = send_fault(&cause, progress);
            let details = format!("{:#}", anyhow::Error::new(cause));
            self.entry.add_details(details);
            fault
        })?;
        self.proxy.metrics.first_byte.observe(started.elapsed());
        if let Some(problem) = response_framing::find_problem(response.headers()) {
            self.entry.add_details(problem);
            return Err(Fault::BadAnswer.into());
        }
        Ok((response, lease))
    }

    async fn pass_response(
        &mut self,
        response: Response<Incoming>,
        lease: Lease,
        progress: Rc<Progress>,
    ) -> Result<Outcome, EarlyResponse> {
        let (parts, body) = response.into_parts();
        let head = self.show_response_head(parts, body.is_end_stream()).await?;
        Ok(Outcome::Response(UpstreamResponse {
            head,
            body,
            lease,
            progress,
        }))
    }

    /// Shows the head of the response to the plugin, and returns the head that the client gets.
    async fn show_response_head(
        &mut self,
        parts: Parts,
        is_end: bool,
    ) -> Result<ResponseHead, EarlyResponse> {
        self.entry.set_upstream_status(parts.status);
        let mut head = ResponseHead {
            status: parts.status,
            headers: parts.headers,
        };
        hop_by_hop::remove(&mut head.headers);
        let Some(stream) = &mut self.stream else {
            return Err(Fault::Undecided.into());
        };
        match stream.response(head, is_end) {
            Verdict::Paused => permitted(stream.response_resumed().await),
            verdict => permitted(verdict),
        }
    }
}

fn send_fault(cause: &SendFault, progress: &Progress) -> Fault {
    match cause {
        _ if progress.is_aborted() => Fault::BrokenClient,
        SendFault::Overflow(_) | SendFault::Connect(ConnectFault::OpenFiles) => Fault::Overloaded,
        SendFault::Connect(ConnectFault::Slow) => Fault::SlowConnect,
        SendFault::Connect(_) => Fault::Unreachable,
        SendFault::Exchange(error) if error.is_parse() => Fault::BadAnswer,
        SendFault::Exchange(_) => Fault::BrokenUpstream,
    }
}

/// Returns the fault for silence. As in Envoy, it is the client's while its request is not complete, and the upstream's
/// afterwards.
fn overrun_fault(overrun: Overrun, progress: &Progress) -> Fault {
    match overrun {
        Overrun::Idle if !progress.is_complete() => Fault::SlowClient,
        Overrun::Idle | Overrun::Late => Fault::SlowUpstream,
    }
}
