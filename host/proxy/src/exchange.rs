//! One request, from its parsed head to its log line. The plugin decides everything; this module carries out its decisions.

mod admission;
mod ending;
mod finish;
mod forwarded;
mod header_field;
mod hop_by_hop;
mod incoming_body;
mod response_body;
mod response_framing;
mod tunnel;
mod upstream_exchange;
mod upstream_request;
mod websocket;

pub(crate) use response_body::ResponseBody;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::header::{self, HeaderName};
use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use jetway_core::contract::{CLIENT_CERTIFICATE_HEADER, ROUTE_HEADER};

use crate::access::AccessEntry;
use crate::client::{ActiveRequest, Client};
use crate::error_response::ErrorFormat;
use crate::fault::Fault;
use crate::proxy::Proxy;
use crate::upstream::Destination;
use crate::wasm::{LocalReply, RequestHead, Stream, StreamFacts, Verdict};
use admission::Target;
use forwarded::RequestOrigin;
use incoming_body::IncomingBody;
use upstream_exchange::Outcome;
use websocket::Opening;

const ROUTE: HeaderName = HeaderName::from_static(ROUTE_HEADER);
const CLIENT_CERTIFICATE: HeaderName = HeaderName::from_static(CLIENT_CERTIFICATE_HEADER);

/// The plugin ended the request without a response.
#[derive(Debug, thiserror::Error)]
#[error("the plugin closed the stream")]
pub(crate) struct Closed;

/// Handles one request and returns its response.
///
/// # Errors
/// [`Closed`], on which the connection (HTTP/1.1) or the stream (HTTP/2) is closed.
pub(crate) async fn handle_request(
    proxy: Rc<Proxy>,
    client: Rc<Client>,
    mut request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Closed> {
    let upgrade = request
        .headers()
        .contains_key(header::UPGRADE)
        .then(|| hyper::upgrade::on(&mut request));
    let (parts, incoming) = request.into_parts();
    let origin = RequestOrigin::read(&parts.headers, client.facts.peer, proxy.trusted_proxies);
    let mut exchange = Exchange {
        active: client.begin_request(),
        entry: AccessEntry::begin(
            &parts,
            origin.client.ip(),
            proxy.request_ids.next(),
            Arc::clone(&proxy.metrics),
        ),
        error_format: ErrorFormat::of(&parts),
        is_head: parts.method == Method::HEAD,
        is_upgrade: websocket::is_upgrade(&parts),
        stream: None,
        // With `Expect: 100-continue` the client has not sent its body, and must not be asked for it when the body is discarded.
        body: IncomingBody::new(incoming, parts.headers.contains_key(header::EXPECT)),
        proxy,
        client,
    };
    match exchange.run(parts, origin, upgrade).await {
        Ok(Outcome::Response(response)) => Ok(exchange.respond(response)),
        Ok(Outcome::Upgrade(response)) => Ok(exchange.open_tunnel(response)),
        Err(EarlyResponse::Reply(reply)) => Ok(exchange.respond_with_reply(*reply)),
        Err(EarlyResponse::Fault(fault)) => Ok(exchange.respond_with_fault(fault).await),
        Err(EarlyResponse::Closed) => Err(Closed),
    }
}

/// A request in progress.
struct Exchange {
    proxy: Rc<Proxy>,
    client: Rc<Client>,
    active: ActiveRequest,
    entry: AccessEntry,
    error_format: ErrorFormat,
    /// Whether the response has no body.
    is_head: bool,
    /// Whether the client asked for another protocol, and may continue in it without waiting.
    is_upgrade: bool,
    /// The request's context in the plugin, once there is one.
    stream: Option<Stream>,
    body: IncomingBody,
}

/// The end of an exchange before the upstream's response.
enum EarlyResponse {
    /// The plugin answers the request.
    Reply(Box<LocalReply>),
    /// The proxy answers the request.
    Fault(Fault),
    /// The plugin ended the request without a response.
    Closed,
}

impl From<Fault> for EarlyResponse {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A request that is ready for the plugin.
struct PreparedRequest {
    head: RequestHead,
    facts: StreamFacts,
}

impl Exchange {
    async fn run(
        &mut self,
        mut parts: Parts,
        origin: RequestOrigin,
        upgrade: Option<OnUpgrade>,
    ) -> Result<Outcome, EarlyResponse> {
        self.entry.pass_panic_point("exchange");
        if let Some(problem) = self.active.problem() {
            return Err(Fault::Malformed(problem).into());
        }
        let target = admission::admit(&mut parts)?;
        let opening = websocket::read_opening(&parts)?.zip(upgrade);
        let request = self.prepare(parts, origin, target, opening.is_some());
        let is_tunnel = opening
            .as_ref()
            .is_some_and(|(opening, _)| opening.is_valid());
        let head = self.decide(request, is_tunnel).await?;
        let (head, destination) = self.find_route(head)?;
        match opening {
            Some((opening, client)) => {
                let handshake = opening.check()?;
                self.upgrade(head, &destination, &handshake, client).await
            }
            None => self.forward(head, &destination).await,
        }
    }

    /// Builds the head that the plugin gets: only fields that belong to the request, and that are true about the client.
    fn prepare(
        &mut self,
        parts: Parts,
        origin: RequestOrigin,
        target: Target,
        is_websocket: bool,
    ) -> PreparedRequest {
        let Parts {
            method,
            mut headers,
            version,
            ..
        } = parts;
        let is_coded = headers.contains_key(header::TRANSFER_ENCODING);
        hop_by_hop::remove(&mut headers);
        headers.remove(ROUTE);
        origin.write(&mut headers);
        if is_websocket {
            Opening::show(&mut headers, is_coded);
        }
        if let Some(id) = origin.request_id {
            self.entry.set_request_id(id);
        }
        forwarded::set_request_id(&mut headers, self.entry.request_id().clone());
        let connection = &self.client.facts;
        let tls = connection.tls.as_ref();
        if let Some(certificate) = tls.and_then(|tls| tls.certificate.as_ref()) {
            headers.insert(CLIENT_CERTIFICATE, certificate.forwarded.clone());
        }
        let facts = StreamFacts {
            received: SystemTime::now(),
            version,
            source: origin.client,
            connection: Rc::clone(connection),
        };
        let head = RequestHead {
            method,
            scheme: origin.scheme,
            authority: target.authority,
            path: target.path,
            headers,
        };
        PreparedRequest { head, facts }
    }

    /// Asks the plugin for a decision. If the plugin pauses the request, this waits for it and shows it the body, as far as
    /// the plugin reads the body. `is_tunnel` says that what follows is the tunnel of a WebSocket.
    async fn decide(
        &mut self,
        request: PreparedRequest,
        is_tunnel: bool,
    ) -> Result<RequestHead, EarlyResponse> {
        let has_body = !is_tunnel && !self.body.is_end();
        let is_end = !is_tunnel && !has_body;
        let started = Instant::now();
        let plugin = &self.proxy.plugin;
        let (stream, verdict) = plugin.request(request.head, is_end, request.facts);
        let stream = self.stream.insert(stream);
        let verdict = match verdict {
            Verdict::Paused if has_body => {
                self.body.buffer_for_plugin(stream, &mut self.entry).await?
            }
            Verdict::Paused => stream.resumed().await,
            verdict => verdict,
        };
        self.proxy.metrics.decision.observe(started.elapsed());
        self.entry.set_decision(&verdict, stream);
        permitted(verdict)
    }

    /// Finds the route that the plugin chose. A request without one is never forwarded.
    fn find_route(
        &mut self,
        mut head: RequestHead,
    ) -> Result<(RequestHead, Rc<Destination>), Fault> {
        let id = header_field::find_single(&head.headers, &ROUTE).cloned();
        head.headers.remove(ROUTE);
        // The plugin removes this field too, because upstreams trust it.
        head.headers.remove(CLIENT_CERTIFICATE);
        let found = id.as_ref().and_then(|id| self.proxy.routes.find(id));
        let Some(destination) = found.cloned() else {
            tracing::error!(
                ?id,
                "the plugin permitted a request without naming a route to an upstream"
            );
            return Err(Fault::NoRoute);
        };
        // A CORS preflight is permitted without a session.
        if destination.asks_for_identity && head.method != Method::OPTIONS {
            self.client.mark_session();
        }
        self.entry.set_route(Rc::clone(&destination));
        Ok((head, destination))
    }
}

/// Returns the head that a verdict permits. The verdict must be final: after waiting for it, it is never `Paused`.
fn permitted<Head>(verdict: Verdict<Head>) -> Result<Head, EarlyResponse> {
    match verdict {
        Verdict::Continue(head) => Ok(head),
        Verdict::Reply(reply) => Err(EarlyResponse::Reply(Box::new(reply))),
        Verdict::Closed => Err(EarlyResponse::Closed),
        Verdict::Failed | Verdict::Paused => Err(EarlyResponse::Fault(Fault::Undecided)),
    }
}
