//! One request, from its parsed head to its log line. Everything is decided by the plugin; this file does what it says.

mod admission;
mod answer_framing;
mod forwarded;
mod hop_by_hop;
mod outgoing;
mod request_id;
mod rest;
mod websocket;

pub(crate) use request_id::RequestIds;

use std::rc::Rc;
use std::time::SystemTime;

use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use jetway_core::contract::{CLIENT_CERTIFICATE_HEADER, ROUTE_HEADER};

use crate::access::Entry;
use crate::answer::{self, Asked, Fault};
use crate::body::{Body, Finish, Overrun, Progress, RequestBody};
use crate::connection::{Active, Client};
use crate::serve::Proxy;
use crate::tunnel::{self, Ends};
use crate::upstream::{ConnectFault, Destination, Lease, SendFault};
use crate::wasm::{Ended, LocalReply, RequestHead, ResponseHead, Stream, StreamFacts, Verdict};
use forwarded::Origin;
use rest::Rest;
use websocket::Handshake;

const ROUTE: HeaderName = HeaderName::from_static(ROUTE_HEADER);
const CLIENT_CERTIFICATE: HeaderName = HeaderName::from_static(CLIENT_CERTIFICATE_HEADER);

/// The plugin ended the request without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the plugin closed the stream")]
pub(crate) struct Closed;

/// Answers one request.
///
/// # Errors
/// [`Closed`], on which the connection (HTTP/1.1) or the stream (HTTP/2) is closed.
pub(crate) async fn exchange(
    proxy: Rc<Proxy>,
    client: Rc<Client>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Closed> {
    let upgrade = request
        .headers()
        .contains_key(header::UPGRADE)
        .then(|| hyper::upgrade::on(&mut request));
    let (parts, incoming) = request.into_parts();
    let origin = Origin::read(&parts.headers, client.facts.peer, proxy.trusted_proxies);
    let mut exchange = Exchange {
        active: client.begin(),
        entry: Entry::begin(&parts, origin.client.ip(), proxy.request_ids.next()),
        asked: Asked::of(&parts),
        stream: None,
        // Who waits for `100 Continue` has sent nothing yet, and is not to be asked to.
        rest: Rest::new(incoming, parts.headers.contains_key(header::EXPECT)),
        proxy,
        client,
    };
    match exchange.run(parts, origin, upgrade).await {
        Ok(Outcome::Answer(answer)) => Ok(exchange.answer(answer)),
        Ok(Outcome::Tunnel(tunnel)) => Ok(exchange.tunnel(tunnel)),
        Err(Early::Reply(reply)) => Ok(exchange.reply(*reply)),
        Err(Early::Fault(fault)) => Ok(exchange.fault(fault)),
        Err(Early::Closed) => Err(Closed),
    }
}

/// A request in progress.
struct Exchange {
    proxy: Rc<Proxy>,
    client: Rc<Client>,
    active: Active,
    entry: Entry,
    asked: Asked,
    /// The request's context in the plugin, once there is one.
    stream: Option<Stream>,
    /// What has not been read of the request's body.
    rest: Rest,
}

/// What the upstream answered.
enum Outcome {
    Answer(Answer),
    Tunnel(Tunnel),
}

struct Answer {
    head: ResponseHead,
    body: Incoming,
    lease: Lease,
    progress: Rc<Progress>,
}

struct Tunnel {
    head: ResponseHead,
    ends: Ends,
    lease: Lease,
    progress: Rc<Progress>,
}

/// An end before the upstream's answer.
enum Early {
    Reply(Box<LocalReply>),
    Fault(Fault),
    Closed,
}

impl From<Fault> for Early {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Exchange {
    async fn run(
        &mut self,
        mut parts: Parts,
        origin: Origin,
        upgrade: Option<OnUpgrade>,
    ) -> Result<Outcome, Early> {
        self.entry.fault_point("exchange");
        if self.active.is_ambiguous() {
            return Err(Fault::Malformed(
                "the body of the request has two lengths, or the end of the one before it cannot be told",
            )
            .into());
        }
        let target = admission::admit(&mut parts)?;
        let handshake = websocket::handshake(&parts)?.zip(upgrade);
        let head = self.prepare(parts, origin, target, handshake.is_some());
        let has_body = handshake.is_none() && !self.rest.is_end();
        let head = self
            .decide(head, handshake.is_some() || has_body, has_body)
            .await?;
        let (head, destination) = self.route(head)?;
        match handshake {
            Some((handshake, client)) => self.upgrade(head, &destination, &handshake, client).await,
            None => self.forward(head, &destination).await,
        }
    }

    /// The head as the plugin gets it: only what is about the request, and true about the client.
    fn prepare(
        &mut self,
        parts: Parts,
        origin: Origin,
        target: admission::Target,
        is_websocket: bool,
    ) -> Decidable {
        let Parts {
            method,
            mut headers,
            version,
            ..
        } = parts;
        hop_by_hop::remove(&mut headers);
        if is_websocket {
            Handshake::restore(&mut headers);
        }
        headers.remove(ROUTE);
        origin.write(&mut headers);
        if let Some(id) = origin.request_id {
            self.entry.set_request_id(id);
        }
        forwarded::set_request_id(&mut headers, self.entry.request_id().clone());
        let connection = &self.client.facts;
        let certificate = connection
            .tls
            .as_ref()
            .and_then(|tls| tls.certificate.as_ref());
        if let Some(certificate) = certificate {
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
        Decidable { head, facts }
    }

    /// Asks the plugin, and waits for it when it waits for the provider. What it decides at once costs nothing more; one
    /// that it keeps it may want to see the body of.
    async fn decide(
        &mut self,
        request: Decidable,
        goes_on: bool,
        has_body: bool,
    ) -> Result<RequestHead, Early> {
        let (stream, verdict) = self
            .proxy
            .plugin
            .request(request.head, !goes_on, request.facts);
        let stream = self.stream.insert(stream);
        match verdict {
            Verdict::Paused if has_body => {
                permitted(self.rest.feed(stream, &mut self.entry).await?)
            }
            Verdict::Paused => permitted(stream.resumed().await),
            verdict => permitted(verdict),
        }
    }

    /// The route that the plugin chose. A request without one is not forwarded, whatever else the plugin said.
    fn route(&mut self, mut head: RequestHead) -> Result<(RequestHead, Rc<Destination>), Fault> {
        let mut named = head.headers.get_all(ROUTE).iter();
        let (id, more) = (named.next().cloned(), named.next().is_some());
        head.headers.remove(ROUTE);
        // The plugin removes it, too; upstreams believe it.
        head.headers.remove(CLIENT_CERTIFICATE);
        let id = id.filter(|_| !more);
        let destination = id
            .as_ref()
            .and_then(|id| self.proxy.routes.find(id))
            .cloned();
        match destination {
            Some(destination) => {
                // A CORS preflight is permitted without a session.
                if destination.asks_for_identity && head.method != Method::OPTIONS {
                    self.client.mark_session();
                }
                self.entry.route(Rc::clone(&destination));
                Ok((head, destination))
            }
            None => {
                tracing::error!(
                    ?id,
                    "the plugin permitted a request without naming a route that leads to an upstream"
                );
                Err(Fault::NoRoute)
            }
        }
    }

    async fn forward(
        &mut self,
        head: RequestHead,
        destination: &Destination,
    ) -> Result<Outcome, Early> {
        let progress = Rc::new(Progress::new(destination.patience));
        self.entry.progress(Rc::clone(&progress));
        let body = self.rest.forward(self.stream.as_mut(), &progress);
        let upstream = destination.choose().ok_or(Fault::NoRoute)?;
        self.entry.upstream(upstream);
        let request = outgoing::request(head, body, destination, upstream)?;
        let answer = destination.send(upstream, request, self.entry.client());
        let (response, lease) = self.answered(answer, &progress).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // Nobody asked for that; what follows on the connection is no HTTP.
            return Err(Fault::BadUpgrade.into());
        }
        self.examine(response, lease, progress).await
    }

    async fn upgrade(
        &mut self,
        mut head: RequestHead,
        destination: &Destination,
        handshake: &Handshake,
        client: OnUpgrade,
    ) -> Result<Outcome, Early> {
        if !destination.allow_websockets {
            return Err(Fault::WebsocketForbidden.into());
        }
        Handshake::restore(&mut head.headers);
        let progress = Rc::new(Progress::new(destination.patience));
        progress.complete();
        let upstream = destination.choose().ok_or(Fault::NoRoute)?;
        self.entry.upstream(upstream);
        let request = outgoing::request(head, RequestBody::empty(), destination, upstream)?;
        let answer = destination.send_apart(upstream, request, self.entry.client());
        let (mut response, lease) = self.answered(answer, &progress).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return self.examine(response, lease, progress).await;
        }
        if !handshake.is_accepted_by(response.headers()) {
            return Err(Fault::BadUpgrade.into());
        }
        let upstream = hyper::upgrade::on(&mut response);
        let (parts, _) = response.into_parts();
        let mut head = self.show(parts, false).await?;
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Fault::BadUpgrade.into());
        }
        Handshake::restore(&mut head.headers);
        Ok(Outcome::Tunnel(Tunnel {
            head,
            ends: Ends { client, upstream },
            lease,
            progress,
        }))
    }

    /// Waits for the head of the upstream's answer, for as long as the route and the plugin allow.
    async fn answered(
        &mut self,
        answer: impl Future<Output = Result<(Response<Incoming>, Lease), SendFault>>,
        progress: &Progress,
    ) -> Result<(Response<Incoming>, Lease), Early> {
        let stream = self.stream.as_ref();
        let closed = async {
            match stream {
                Some(stream) => stream.closed().await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            result = answer => result,
            overrun = progress.overruns() => {
                return Err(fault_of_overrun(overrun, progress).into());
            }
            ended = closed => return Err(match ended {
                Ended::Closed => Early::Closed,
                Ended::Lost => Fault::Undecided.into(),
            }),
        };
        progress.begin_answer();
        let (response, lease) = result.map_err(|fault| {
            let answered = fault_of(&fault, progress);
            self.entry
                .details(format!("{:#}", anyhow::Error::new(fault)));
            answered
        })?;
        if let Some(problem) = answer_framing::problem(response.headers()) {
            self.entry.details(problem);
            return Err(Fault::BadAnswer.into());
        }
        Ok((response, lease))
    }

    async fn examine(
        &mut self,
        response: Response<Incoming>,
        lease: Lease,
        progress: Rc<Progress>,
    ) -> Result<Outcome, Early> {
        let (parts, body) = response.into_parts();
        let head = self.show(parts, body.is_end_stream()).await?;
        Ok(Outcome::Answer(Answer {
            head,
            body,
            lease,
            progress,
        }))
    }

    /// Shows the answer's head to the plugin.
    async fn show(
        &mut self,
        parts: http::response::Parts,
        end_of_stream: bool,
    ) -> Result<ResponseHead, Early> {
        self.entry.upstream_status(parts.status);
        let mut head = ResponseHead {
            status: parts.status,
            headers: parts.headers,
        };
        hop_by_hop::remove(&mut head.headers);
        let Some(stream) = &mut self.stream else {
            return Err(Fault::Undecided.into());
        };
        match stream.response(head, end_of_stream) {
            Verdict::Paused => permitted(stream.response_resumed().await),
            verdict => permitted(verdict),
        }
    }

    fn answer(self, answer: Answer) -> Response<Body> {
        let Answer {
            head,
            body,
            lease,
            progress,
        } = answer;
        if !body.is_end_stream() {
            self.client.watch(&progress);
        }
        let finish = self.finish(head.status, Some(lease));
        respond(
            head.status,
            head.headers,
            Body::streamed(body, progress, finish),
        )
    }

    fn tunnel(self, tunnel: Tunnel) -> Response<Body> {
        let Tunnel {
            head,
            ends,
            lease,
            progress,
        } = tunnel;
        self.client.end_http();
        let stop = self.proxy.stop.clone();
        let finish = self.finish(head.status, Some(lease));
        tokio::task::spawn_local(tunnel::run(ends, finish, progress, stop));
        respond(head.status, head.headers, Body::none())
    }

    fn reply(mut self, reply: LocalReply) -> Response<Body> {
        self.rest.drain();
        self.active.answer_locally();
        let LocalReply {
            status,
            mut headers,
            body,
            details,
        } = reply;
        // Hyper writes the length of the body that is really sent.
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::TRANSFER_ENCODING);
        self.entry.details(details);
        respond(
            status,
            headers,
            Body::whole(body, self.finish(status, None)),
        )
    }

    fn fault(mut self, fault: Fault) -> Response<Body> {
        self.rest.drain();
        self.active.answer_locally();
        if fault.status().is_server_error() {
            self.entry.fail();
        }
        self.entry.details(fault.text());
        let id = self.entry.request_id();
        let answer = answer::fault(fault, &self.asked, id, &self.proxy.look);
        let finish = self.finish(fault.status(), None);
        respond(
            fault.status(),
            answer.headers,
            Body::whole(answer.body, finish),
        )
    }

    fn finish(mut self, status: StatusCode, lease: Option<Lease>) -> Finish {
        self.entry.status(status);
        Finish::new(self.entry, lease, self.stream, self.active)
    }
}

/// A request that is ready for the plugin.
struct Decidable {
    head: RequestHead,
    facts: StreamFacts,
}

fn permitted<Head>(verdict: Verdict<Head>) -> Result<Head, Early> {
    match verdict {
        Verdict::Continue(head) => Ok(head),
        Verdict::Reply(reply) => Err(Early::Reply(Box::new(reply))),
        Verdict::Closed => Err(Early::Closed),
        // A verdict that was waited for is never `Paused`.
        Verdict::Failed | Verdict::Paused => Err(Early::Fault(Fault::Undecided)),
    }
}

fn fault_of(fault: &SendFault, progress: &Progress) -> Fault {
    match fault {
        _ if progress.is_broken() => Fault::BrokenClient,
        SendFault::Overflow(_) | SendFault::Connect(ConnectFault::OpenFiles) => Fault::Overloaded,
        SendFault::Connect(ConnectFault::Slow) => Fault::SlowConnect,
        SendFault::Connect(_) => Fault::Unreachable,
        SendFault::Exchange(fault) if fault.is_parse() => Fault::BadAnswer,
        SendFault::Exchange(_) => Fault::BrokenUpstream,
    }
}

/// As in Envoy: silence is the client's while its request is not complete, and the upstream's afterwards.
fn fault_of_overrun(overrun: Overrun, progress: &Progress) -> Fault {
    match overrun {
        Overrun::Idle if !progress.is_complete() => Fault::SlowClient,
        Overrun::Idle | Overrun::Late => Fault::SlowUpstream,
    }
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
