//! A pool of HTTP/1.1 connections to one server: opened when needed, kept for a while when idle.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use http::{Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use tokio::time::timeout;

use super::circuit_breaker::{Overflow, RequestPermit};
use super::descriptor_limit::{DescriptorLimit, DescriptorPermit};
use super::{ConnectFault, Connector};
use crate::body::RequestBody;
use crate::limits;
use crate::metrics::OutgoingMetrics;

/// The reason why a request got no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendFault {
    /// A limit of the route is exceeded.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectFault),
    /// The connection broke, or the upstream sent something that is not HTTP.
    #[error("no usable response")]
    Exchange(#[from] hyper::Error),
}

/// The connections of one worker to one server.
pub(crate) struct Pool {
    connector: Connector,
    descriptors: DescriptorLimit,
    idle: RefCell<Vec<IdleConnection>>,
}

/// A connection with its descriptor, which is in use until the connection, or the tunnel that it became, has ended.
struct PooledConnection {
    sender: SendRequest<RequestBody>,
    _descriptor: DescriptorPermit,
}

struct IdleConnection {
    open: PooledConnection,
    since: Instant,
}

/// A connection in use. [`Lease::release`] returns it to the pool when the response is complete; dropping it closes it.
pub(crate) struct Lease {
    /// The pool that it returns to; `None` for a connection that is used once.
    pool: Option<Rc<Pool>>,
    open: PooledConnection,
    /// Counts the request for its route while the connection is in use.
    _permit: Option<RequestPermit>,
}

impl Pool {
    /// Creates an empty pool whose connections take these descriptors.
    pub(crate) fn new(connector: Connector, descriptors: DescriptorLimit) -> Rc<Self> {
        Rc::new(Self {
            connector,
            descriptors,
            idle: RefCell::default(),
        })
    }

    /// Returns what is measured of these connections and of others of the kind.
    pub(crate) fn metrics(&self) -> &OutgoingMetrics {
        self.descriptors.metrics()
    }

    /// Sends a request and waits for the head of the response.
    ///
    /// The server may have closed an idle connection at this very moment. The request is then sent again on a new one, if
    /// it was not sent at all or can be repeated without harm.
    pub(crate) async fn send(
        self: &Rc<Self>,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), SendFault> {
        if let Some(mut open) = self.take_idle(Instant::now()) {
            let copy = copy_repeatable(&request);
            match open.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, self.lease(open))),
                Err(mut fault) => {
                    let unsent = fault.take_message();
                    let copy = copy.filter(|_| !fault.error().is_parse());
                    request = unsent.or(copy).ok_or_else(|| fault.into_error())?;
                }
            }
        }
        let mut open = self.connect().await?;
        let response = open.sender.send_request(request).await?;
        Ok((response, self.lease(open)))
    }

    /// Sends a request on a connection that no other request uses, for upgrades.
    pub(crate) async fn send_apart(
        &self,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), SendFault> {
        let mut open = self.connect().await?;
        let response = open.sender.send_request(request).await?;
        let lease = Lease {
            pool: None,
            open,
            _permit: None,
        };
        Ok((response, lease))
    }

    /// Closes idle connections that are past their age, and all of them while descriptors are scarce.
    pub(crate) fn sweep(&self) {
        self.sweep_at(Instant::now());
    }

    fn sweep_at(&self, now: Instant) {
        let has_spare = self.descriptors.has_spare();
        self.idle
            .borrow_mut()
            .retain(|idle| has_spare && !idle.open.sender.is_closed() && !idle.is_old(now));
    }

    fn lease(self: &Rc<Self>, open: PooledConnection) -> Lease {
        Lease {
            pool: Some(Rc::clone(self)),
            open,
            _permit: None,
        }
    }

    /// Takes the idle connection that was used last, so that the others can reach their age and be closed.
    fn take_idle(&self, now: Instant) -> Option<PooledConnection> {
        let mut idle = self.idle.borrow_mut();
        // A connection that is not ready is still sending a body that its server did not wait for.
        let position = idle
            .iter()
            .rposition(|idle| idle.open.sender.is_ready() && !idle.is_old(now))?;
        Some(idle.remove(position).open)
    }

    async fn connect(&self) -> Result<PooledConnection, SendFault> {
        let descriptor = timeout(limits::CONNECT, self.descriptors.acquire()).await;
        let descriptor = descriptor.ok().flatten().ok_or(ConnectFault::OpenFiles)?;
        let started = Instant::now();
        let metrics = self.metrics();
        let transport = self.connector.connect().await;
        let transport = transport.inspect_err(|_| metrics.failed_connects.increment())?;
        metrics.connects.observe(started.elapsed());
        let (sender, connection) = http1::Builder::new()
            .max_header_size(limits::RESPONSE_HEAD_BYTES)
            .max_buf_size(limits::RESPONSE_HEAD_BYTES)
            .handshake(TokioIo::new(transport))
            .await?;
        let open = PooledConnection {
            sender,
            _descriptor: DescriptorPermit::clone(&descriptor),
        };
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "an upstream connection ended");
            }
            drop(descriptor);
        });
        Ok(open)
    }
}

impl IdleConnection {
    /// Returns whether the connection has been idle for so long that its server may have closed it.
    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= limits::POOL_AGE
    }
}

impl Lease {
    /// Holds the permit of the request for as long as the connection is in use.
    pub(super) fn with_permit(self, permit: RequestPermit) -> Self {
        Self {
            _permit: Some(permit),
            ..self
        }
    }

    /// Makes the connection available to the next request.
    pub(crate) fn release(self) {
        let is_usable =
            |pool: &Rc<Pool>| !self.open.sender.is_closed() && pool.descriptors.has_spare();
        let Some(pool) = self.pool.filter(is_usable) else {
            return;
        };
        let mut idle = pool.idle.borrow_mut();
        if idle.len() >= limits::POOL_IDLE {
            idle.remove(0);
        }
        idle.push(IdleConnection {
            open: self.open,
            since: Instant::now(),
        });
    }
}

/// Copies a request that changes nothing (RFC 9110, 9.2.1) and has no body; `None` for any other request.
fn copy_repeatable(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if !safe || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(RequestBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Hit;
    use crate::tls::{Roots, Trust};
    use http_body_util::BodyExt as _;
    use jetway_core::config::Origin;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::LocalSet;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    async fn listen() -> (TcpListener, Rc<Pool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let origin = Origin {
            tls: false,
            host: "127.0.0.1".to_owned(),
            port,
        };
        (
            listener,
            Pool::new(
                Connector::new(&origin, &Trust::System, &Roots::default()).unwrap(),
                DescriptorLimit::new(1_000, Hit::UpstreamDescriptors),
            ),
        )
    }

    async fn read_head(stream: &mut TcpStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    fn request(method: Method) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::empty());
        *request.method_mut() = method;
        request
            .headers_mut()
            .insert("host", http::HeaderValue::from_static("a.test"));
        request
    }

    async fn send(pool: &Rc<Pool>, method: Method) -> Result<String, SendFault> {
        let (response, lease) = pool.send(request(method)).await?;
        let body = response.into_body().collect().await?.to_bytes();
        lease.release();
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_connection_is_used_again() {
        LocalSet::new()
            .run_until(async {
                let (listener, pool) = listen().await;
                let server = async {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    for _ in 0..3 {
                        read_head(&mut stream).await;
                        stream.write_all(ANSWER).await.unwrap();
                    }
                };
                let client = async {
                    for _ in 0..3 {
                        assert_eq!(send(&pool, Method::GET).await.unwrap(), "ok");
                    }
                };
                tokio::join!(server, client);
            })
            .await;
    }

    /// Sends a second request on a kept connection, which the server reads and closes without a response.
    async fn second_on_closing_connection(method: Method) -> Result<String, SendFault> {
        LocalSet::new()
            .run_until(async {
                let (listener, pool) = listen().await;
                let server = async {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    read_head(&mut stream).await;
                    stream.write_all(ANSWER).await.unwrap();
                    read_head(&mut stream).await;
                    drop(stream);
                    let (mut stream, _) = listener.accept().await.unwrap();
                    read_head(&mut stream).await;
                    stream.write_all(ANSWER).await.unwrap();
                    std::future::pending::<()>().await;
                };
                let client = async {
                    send(&pool, Method::GET).await.unwrap();
                    send(&pool, method).await
                };
                tokio::select! {
                    () = server => unreachable!(),
                    result = client => result,
                }
            })
            .await
    }

    #[tokio::test]
    async fn a_safe_request_is_repeated_on_a_new_connection() {
        assert_eq!(
            second_on_closing_connection(Method::GET).await.unwrap(),
            "ok"
        );
    }

    #[tokio::test]
    async fn an_unsafe_request_is_never_sent_twice() {
        assert!(second_on_closing_connection(Method::POST).await.is_err());
    }

    #[tokio::test]
    async fn an_incomplete_response_closes_the_connection() {
        LocalSet::new()
            .run_until(async {
                let (listener, pool) = listen().await;
                let server = async {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    read_head(&mut stream).await;
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")
                        .await
                        .unwrap();
                    stream
                };
                let (mut stream, answer) = tokio::join!(server, pool.send(request(Method::GET)));
                drop(answer);
                let closed = timeout(limits::CONNECT, stream.read_u8()).await.unwrap();
                assert!(closed.is_err());
                assert!(pool.idle.borrow().is_empty());
            })
            .await;
    }

    #[tokio::test]
    async fn idle_connections_are_limited_and_grow_old() {
        LocalSet::new()
            .run_until(async {
                let (listener, pool) = listen().await;
                let mut streams = Vec::new();
                for _ in 0..limits::POOL_IDLE + 2 {
                    let (accepted, sender) = tokio::join!(listener.accept(), pool.connect());
                    streams.push(accepted.unwrap());
                    pool.lease(sender.unwrap()).release();
                }
                assert_eq!(pool.idle.borrow().len(), limits::POOL_IDLE);
                pool.sweep();
                assert_eq!(pool.idle.borrow().len(), limits::POOL_IDLE);
                let later = Instant::now() + limits::POOL_AGE;
                assert!(pool.take_idle(later).is_none());
                pool.sweep_at(later);
                assert!(pool.idle.borrow().is_empty());
            })
            .await;
    }
}
