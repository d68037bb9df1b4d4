//! One request, from its parsed head to its log line. Everything is decided by the plugin; this file does what it says.

mod admission;
mod forwarded;
mod hop_by_hop;
mod request_id;
mod websocket;

pub(crate) use request_id::RequestIds;

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use jetway_core::contract::ROUTE_HEADER;

use crate::access::Entry;
use crate::answer::{self, Asked, Fault};
use crate::body::{Body, Finish, RequestBody, Sent};
use crate::connection::{Active, Client};
use crate::serve::Proxy;
use crate::tunnel::{self, Ends};
use crate::upstream::{ConnectFault, Destination, Lease, SendFault};
use crate::wasm::{LocalReply, RequestHead, ResponseHead, Stream, StreamFacts, Verdict};
use forwarded::Hop;
use websocket::Handshake;

const ROUTE: HeaderName = HeaderName::from_static(ROUTE_HEADER);

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
    let mut exchange = Exchange {
        active: client.begin(),
        entry: Entry::begin(&parts, Rc::clone(&client.facts), proxy.request_ids.next()),
        asked: Asked::of(&parts),
        stream: None,
        proxy,
        client,
    };
    match exchange.run(parts, incoming, upgrade).await {
        Ok(Outcome::Answer(answer)) => Ok(exchange.answer(answer)),
        Ok(Outcome::Tunnel(head, ends)) => Ok(exchange.tunnel(head, ends)),
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
}

/// What the upstream answered.
enum Outcome {
    Answer(Answer),
    Tunnel(ResponseHead, Ends),
}

struct Answer {
    head: ResponseHead,
    body: Incoming,
    lease: Lease,
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
        body: Incoming,
        upgrade: Option<OnUpgrade>,
    ) -> Result<Outcome, Early> {
        let target = admission::admit(&mut parts)?;
        let handshake = websocket::handshake(&parts)?.zip(upgrade);
        let head = self.prepare(parts, target, handshake.is_some());
        let head = self
            .decide(head, handshake.is_none() && body.is_end_stream())
            .await?;
        let (head, destination) = self.route(head)?;
        match handshake {
            Some((handshake, client)) => self.upgrade(head, &destination, &handshake, client).await,
            None => self.forward(head, body, &destination).await,
        }
    }

    /// The head as the plugin gets it: only what is about the request, and true about the client.
    fn prepare(
        &mut self,
        parts: Parts,
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
        let facts = &self.client.facts;
        let hop = Hop {
            peer: facts.source.ip(),
            secure: facts.tls.is_some(),
            trusted_hops: self.proxy.trusted_hops,
        };
        let origin = forwarded::rewrite(&mut headers, hop);
        if let Some(id) = origin.request_id {
            self.entry.set_request_id(id);
        }
        forwarded::set_request_id(&mut headers, self.entry.request_id().clone());
        let facts = StreamFacts {
            received: SystemTime::now(),
            version,
            connection: Rc::clone(facts),
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

    /// Asks the plugin, and waits for it when it waits for the provider.
    async fn decide(
        &mut self,
        request: Decidable,
        end_of_stream: bool,
    ) -> Result<RequestHead, Early> {
        let (stream, verdict) =
            self.proxy
                .plugin
                .request(request.head, end_of_stream, request.facts);
        let stream = self.stream.insert(stream);
        match verdict {
            Verdict::Paused => permitted(stream.resumed().await),
            verdict => permitted(verdict),
        }
    }

    /// The route that the plugin chose. A request without one is not forwarded, whatever else the plugin said.
    fn route(&mut self, mut head: RequestHead) -> Result<(RequestHead, Rc<Destination>), Fault> {
        let mut named = head.headers.get_all(ROUTE).iter();
        let (id, more) = (named.next().cloned(), named.next().is_some());
        head.headers.remove(ROUTE);
        let id = id.filter(|_| !more);
        let destination = id
            .as_ref()
            .and_then(|id| self.proxy.routes.find(id))
            .cloned();
        match destination {
            Some(destination) => {
                self.entry.route(Rc::clone(&destination));
                Ok((head, destination))
            }
            None => {
                tracing::error!(
                    ?id,
                    "the plugin permitted a request without naming a route that exists"
                );
                Err(Fault::NoRoute)
            }
        }
    }

    async fn forward(
        &mut self,
        head: RequestHead,
        body: Incoming,
        destination: &Destination,
    ) -> Result<Outcome, Early> {
        let sent = (!body.is_end_stream()).then(|| Rc::new(Sent::default()));
        let body = match &sent {
            Some(sent) => {
                self.entry.received(Rc::clone(sent));
                RequestBody::streamed(body, Rc::clone(sent))
            }
            None => RequestBody::empty(),
        };
        let request = upstream_request(head, body, destination)?;
        let answer = destination.pool().send(request);
        let (response, lease) = self
            .answered(answer, destination.timeout, sent.as_deref())
            .await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // Nobody asked for that; what follows on the connection is no HTTP.
            return Err(Fault::BadUpgrade.into());
        }
        self.examine(response, lease).await
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
        let request = upstream_request(head, RequestBody::empty(), destination)?;
        let answer = destination.pool().send_apart(request);
        let (mut response, lease) = self.answered(answer, destination.timeout, None).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return self.examine(response, lease).await;
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
        Ok(Outcome::Tunnel(head, Ends { client, upstream }))
    }

    /// Waits for the upstream, for as long as the route allows once the request has been sent.
    async fn answered(
        &mut self,
        answer: impl Future<Output = Result<(Response<Incoming>, Lease), SendFault>>,
        limit: Option<Duration>,
        sent: Option<&Sent>,
    ) -> Result<(Response<Incoming>, Lease), Fault> {
        let result = tokio::select! {
            result = answer => result,
            () = deadline(limit, sent) => return Err(Fault::SlowUpstream),
        };
        result.map_err(|fault| {
            let answered = fault_of(&fault, sent);
            self.entry
                .details(format!("{:#}", anyhow::Error::new(fault)));
            answered
        })
    }

    async fn examine(
        &mut self,
        response: Response<Incoming>,
        lease: Lease,
    ) -> Result<Outcome, Early> {
        let (parts, body) = response.into_parts();
        let head = self.show(parts, body.is_end_stream()).await?;
        Ok(Outcome::Answer(Answer { head, body, lease }))
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
        let Answer { head, body, lease } = answer;
        let finish = self.finish(head.status, Some(lease));
        respond(head.status, head.headers, Body::streamed(body, finish))
    }

    fn tunnel(self, head: ResponseHead, ends: Ends) -> Response<Body> {
        let stop = self.proxy.stop.clone();
        let finish = self.finish(head.status, None);
        tokio::task::spawn_local(tunnel::run(ends, finish, stop));
        respond(head.status, head.headers, Body::none())
    }

    fn reply(mut self, reply: LocalReply) -> Response<Body> {
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
        self.entry.details(fault.text());
        let answer = answer::fault(fault, &self.asked, self.entry.request_id());
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

async fn deadline(limit: Option<Duration>, sent: Option<&Sent>) {
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    match sent {
        Some(sent) => sent.stalled(limit).await,
        None => tokio::time::sleep(limit).await,
    }
}

fn fault_of(fault: &SendFault, sent: Option<&Sent>) -> Fault {
    match fault {
        _ if sent.is_some_and(Sent::fell_silent) => Fault::SlowClient,
        _ if sent.is_some_and(Sent::broke) => Fault::BrokenClient,
        SendFault::Connect(ConnectFault::Slow) => Fault::SlowConnect,
        SendFault::Connect(_) => Fault::Unreachable,
        SendFault::Exchange(_) => Fault::BadAnswer,
    }
}

/// The request as the upstream gets it.
fn upstream_request(
    head: RequestHead,
    body: RequestBody,
    destination: &Destination,
) -> Result<Request<RequestBody>, Fault> {
    let RequestHead {
        method,
        authority,
        path,
        mut headers,
        ..
    } = head;
    if destination.preserve_host_header {
        headers.insert(header::HOST, authority);
    } else {
        headers.insert(header::HOST, destination.authority().clone());
        forwarded::set_host(&mut headers, authority);
    }
    frame(&mut headers, &body);
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(path);
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| Fault::Undecided)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// States the body's length, or that it has none that is known: what the client or the plugin said about it could be wrong
/// and let one request pass for two.
fn frame(headers: &mut HeaderMap, body: &RequestBody) {
    let stated = headers.remove(header::CONTENT_LENGTH).is_some();
    headers.remove(header::TRANSFER_ENCODING);
    match body.size_hint().exact() {
        Some(0) if !stated => {}
        Some(length) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            headers.insert(
                header::TRANSFER_ENCODING,
                HeaderValue::from_static("chunked"),
            );
        }
    }
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_length_is_the_real_one() {
        let framed = |stated: &[(&'static str, &'static str)], body: &'static str| {
            let mut headers = HeaderMap::new();
            for (name, value) in stated {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            frame(&mut headers, &RequestBody::whole(body.into()));
            assert!(!headers.contains_key(header::TRANSFER_ENCODING));
            headers
                .get(header::CONTENT_LENGTH)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(framed(&[], ""), None);
        assert_eq!(framed(&[("content-length", "5")], ""), Some("0".to_owned()));
        assert_eq!(
            framed(&[("content-length", "5")], "abc"),
            Some("3".to_owned())
        );
        assert_eq!(
            framed(&[("transfer-encoding", "chunked")], "abc"),
            Some("3".to_owned())
        );
    }
}
